import { copyFile, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { run } from '../foreign-tools.ts'
import { temporaryFolder } from '../helper.ts'
import { startAppWithSim } from '../sim.ts'

// Our own client as its users get it: packed, installed into an empty project without a network, compiled against, and run.

const root = new URL('../..', import.meta.url).pathname
const folder = await temporaryFolder(t)

/** Packs a folder of ours; the name of what comes of it is what npm prints last. */
async function pack (path: string, ...flags: string[]): Promise<string> {
  const printed = await run('npm', ['pack', '--silent', '--pack-destination', folder, ...flags], { cwd: join(root, path) })
  return `./${printed.trim().split('\n').at(-1)}`
}

t.test('it is packed and installed', async (t) => {
  const archives = [await pack('sdk/typescript'), await pack('node_modules/eventsource-parser', '--ignore-scripts')]
  await writeFile(join(folder, 'package.json'), JSON.stringify({ private: true, type: 'module' }))
  await run('npm', ['install', '--offline', '--no-audit', '--no-fund', ...archives], { cwd: folder })
  const versionIn = async (path: string) => (JSON.parse(await readFile(path, 'utf8')) as { version: string }).version
  t.equal(await versionIn(join(folder, 'node_modules/@parley/client/package.json')), await versionIn(join(root, 'package.json')), 'its version is that of the API')
})

t.test('programs compile with its types', async () => {
  for (const program of ['conversation.ts', 'streams.ts', 'odd-servers.ts', 'types.ts']) await copyFile(join(import.meta.dirname, 'sdk', program), join(folder, program))
  await writeFile(join(folder, 'tsconfig.json'), JSON.stringify({
    compilerOptions: {
      strict: true,
      noUncheckedIndexedAccess: true,
      target: 'es2024',
      lib: ['es2024', 'esnext.array', 'dom'],
      module: 'nodenext',
      outDir: 'built',
      types: ['node'],
      typeRoots: [join(root, 'node_modules/@types')],
      skipLibCheck: true
    }
  }))
  await run(join(root, 'node_modules/.bin/tsc'), ['--project', folder])
})

const { client, adminKey } = await startAppWithSim(t, { cadence: { chunkDelayMs: 10 } })
const env = { PARLEY_URL: client.url, PARLEY_KEY: adminKey }

for (const program of ['conversation', 'streams', 'odd-servers']) {
  t.test(program, async (t) => {
    await run(process.execPath, [join(folder, 'built', `${program}.js`)], { cwd: folder, env })
    t.pass('it holds')
  })
}
