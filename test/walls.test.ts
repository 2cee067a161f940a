import { glob, readFile } from 'node:fs/promises'
import { dirname, join, normalize } from 'node:path'
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

t.test('schemas import TypeBox and each other', async (t) => {
  for (const { file, imported } of await allImports('schemas/**/*.ts')) {
    t.ok(imported === '@sinclair/typebox' || isIn(imported, 'schemas'), `${file} imports ${imported}`)
  }
})

t.test('routes import framework types, schemas and the error catalogue', async (t) => {
  for (const { file, imported } of await allImports('routes/**/*.ts')) {
    const allowed = /^(fastify|@fastify\/type-provider-typebox)$/.test(imported) || isIn(imported, 'schemas') || imported === 'src/errors.ts'
    t.ok(allowed, `${file} imports ${imported}`)
  }
})

t.test('routes are short', async (t) => {
  for await (const file of glob('routes/**/*.ts', { cwd: root })) {
    const lines = (await readFile(join(root, file), 'utf8')).split('\n').length
    t.ok(lines <= 200, `${file} has ${lines} lines`)
  }
})

t.test('plugins do not import routes', async (t) => {
  for (const { file, imported } of await allImports('plugins/**/*.ts')) t.notOk(isIn(imported, 'routes', 'test'), `${file} imports ${imported}`)
})

t.test('the core knows neither the framework nor the rooms around it', async (t) => {
  const composition = ['src/app.ts', 'src/server.ts', 'src/openapi.ts']
  for (const { file, imported } of await allImports('src/**/*.ts')) {
    if (composition.includes(file)) continue
    t.notOk(/^@?fastify/.test(imported) || isIn(imported, 'routes', 'plugins', 'test'), `${file} imports ${imported}`)
  }
})

t.test('the driver, the engine of the embedded store and the HTTP client stay in their rooms', async (t) => {
  const imports = [...await allImports('src/**/*.ts'), ...await allImports('plugins/**/*.ts'), ...await allImports('routes/**/*.ts')]
  for (const { file, imported } of imports) {
    if (imported === 'mongodb') t.ok(isIn(file, 'src/store') || file === 'plugins/mongo.ts', `${file} imports ${imported}`)
    if (/^(lmdb|mingo|bson)\b/.test(imported)) t.ok(isIn(file, 'src/embedded-mongo'), `${file} imports ${imported}`)
    if (imported === 'undici') t.ok(isIn(file, 'src/llm'), `${file} imports ${imported}`)
  }
})

t.test('the embedded store and the simulator could be taken elsewhere', async (t) => {
  for (const room of ['src/embedded-mongo', 'src/mistral-sim']) {
    for (const { file, imported } of await allImports(`${room}/**/*.ts`)) {
      t.ok(!/^(src|schemas|routes|plugins)\//.test(imported) || isIn(imported, room), `${file} imports ${imported}`)
    }
  }
})
