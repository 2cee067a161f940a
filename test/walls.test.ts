import { glob, readFile } from 'node:fs/promises'
import { basename, dirname, join, normalize } from 'node:path'
import t from 'tap'

const root = new URL('..', import.meta.url).pathname

/** What a file imports: packages as they are, files as paths from the root. */
async function importsOf (file: string): Promise<string[]> {
  const source = await readFile(join(root, file), 'utf8')
  const specifiers = [...source.matchAll(/^\s*(?:import|export)\b[^'"`;]*?from\s*'([^']+)'/gm), ...source.matchAll(/\bimport\(\s*'([^']+)'/g)]
    .map(([, specifier]) => specifier!)
  return specifiers.map((specifier) => specifier.startsWith('.') ? normalize(join(dirname(file), specifier)) : specifier)
}

async function allImports (pattern: string): Promise<Array<{ file: string, imported: string }>> {
  const files = await Array.fromAsync(glob(pattern, { cwd: root }))
  const found = await Promise.all(files.map(async (file) => (await importsOf(file)).map((imported) => ({ file, imported }))))
  return found.flat()
}

const isIn = (path: string, ...rooms: string[]) => rooms.some((room) => path.startsWith(`${room}/`))

/** The imports of a room that are not allowed there, in words. */
async function trespasses (pattern: string, isAllowed: (imported: string, file: string) => boolean): Promise<string[]> {
  const imports = await allImports(pattern)
  if (imports.length === 0) throw new Error(`nothing is imported in ${pattern}: the pattern is wrong`)
  return imports.filter(({ file, imported }) => !isAllowed(imported, file)).map(({ file, imported }) => `${file} imports ${imported}`)
}

t.test('schemas import TypeBox and each other', async (t) => {
  t.same(await trespasses('schemas/**/*.ts', (imported) => imported === '@sinclair/typebox' || isIn(imported, 'schemas')), [])
})

t.test('routes import framework types, schemas and the error catalogue', async (t) => {
  t.same(await trespasses('routes/**/*.ts', (imported) =>
    /^(fastify|@fastify\/type-provider-typebox)$/.test(imported) || isIn(imported, 'schemas') || imported === 'src/errors.ts'), [])
})

t.test('routes are short', async (t) => {
  for await (const file of glob('routes/**/*.ts', { cwd: root })) {
    const lines = (await readFile(join(root, file), 'utf8')).split('\n').length
    t.ok(lines <= 200, `${file} has ${lines} lines`)
  }
})

t.test('plugins do not import routes', async (t) => {
  t.same(await trespasses('plugins/**/*.ts', (imported) => !isIn(imported, 'routes', 'test')), [])
})

t.test('the core knows neither the framework nor the rooms around it', async (t) => {
  const composition = ['src/app.ts', 'src/server.ts', 'src/openapi.ts']
  t.same(await trespasses('src/**/*.ts', (imported, file) =>
    composition.includes(file) || (!/^@?fastify/.test(imported) && !isIn(imported, 'routes', 'plugins', 'test'))), [])
})

t.test('the driver, the engine of the embedded store, the HTTP clients and Redis stay in their rooms', async (t) => {
  const homes: Array<[RegExp, (file: string) => boolean]> = [
    [/^mongodb$/, (file) => isIn(file, 'src/store') || file === 'plugins/mongo.ts'],
    [/^(lmdb|mingo|bson)\b/, (file) => isIn(file, 'src/embedded-mongo')],
    [/^nodemailer$/, (file) => isIn(file, 'src/mail')],
    [/^openid-client$/, (file) => isIn(file, 'src/oauth')],
    [/^undici$/, (file) => isIn(file, 'src/llm', 'src/outgoing')],
    [/^ipaddr\.js$/, (file) => isIn(file, 'src/outgoing')],
    [/^ioredis$/, (file) => isIn(file, 'src/bus')]
  ]
  t.same(await trespasses('{src,plugins,routes}/**/*.ts', (imported, file) =>
    homes.every(([library, isHome]) => !library.test(imported) || isHome(file))), [])
})

t.test('the guarded client knows nothing of what is sent', async (t) => {
  t.same(await trespasses('src/outgoing/**/*.ts', (imported) => !/^(src|schemas)\//.test(imported) || isIn(imported, 'src/outgoing')), [])
})

t.test('the embedded store and the simulator could be taken elsewhere', async (t) => {
  for (const room of ['src/embedded-mongo', 'src/mistral-sim']) {
    t.same(await trespasses(`${room}/**/*.ts`, (imported) => !/^(src|schemas|routes|plugins)\//.test(imported) || isIn(imported, room)), [])
  }
})

t.test('our client stands alone', async (t) => {
  t.same(await trespasses('sdk/*/src/*.ts', (imported, file) => imported === 'eventsource-parser' || imported.startsWith(`${dirname(file)}/`)), [])
})

t.test('every test is in one of the processes that npm test starts', async (t) => {
  const rooms = new Set((await Array.fromAsync(glob('test/!(clients|faults|lanes|soak)/*.test.ts', { cwd: root }))).map((file) => basename(dirname(file))))
  const texts = await Promise.all((await Array.fromAsync(glob('test/lanes/*.test.ts', { cwd: root }))).map((file) => readFile(join(root, file), 'utf8')))
  const named = texts.flatMap((text) => [.../runAll\((.*)\)/.exec(text)![1]!.matchAll(/'(.*?)'/g)].map(([, room]) => room!))
  t.same(named.sort(), ['.', ...rooms].sort())
})
