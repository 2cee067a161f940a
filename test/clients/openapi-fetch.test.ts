import { copyFile, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { run } from '../foreign-tools.ts'
import { startApp, temporaryFolder } from '../helper.ts'

const root = new URL('../..', import.meta.url).pathname
const bin = (name: string) => join(root, 'node_modules/.bin', name)

t.test('openapi-fetch holds a conversation, with types by openapi-typescript', async (t) => {
  const { client, adminKey } = await startApp(t)
  const folder = await temporaryFolder(t)
  await symlink(join(root, 'node_modules'), join(folder, 'node_modules'))
  const said = await run(bin('openapi-typescript'), [`${client.url}/openapi.json`, '--output', join(folder, 'parley.ts')], { env: { NO_COLOR: '1' } })
  t.notMatch(said, /warn|error|deprecat/i, 'nothing to warn of')

  await copyFile(join(import.meta.dirname, 'openapi-fetch/conversation.ts'), join(folder, 'conversation.ts'))
  await writeFile(join(folder, 'package.json'), JSON.stringify({ type: 'module' }))
  await writeFile(join(folder, 'tsconfig.json'), JSON.stringify({
    compilerOptions: {
      strict: true,
      noUncheckedIndexedAccess: true,
      target: 'es2022',
      lib: ['es2022', 'dom'],
      module: 'nodenext',
      noEmit: true,
      allowImportingTsExtensions: true,
      types: ['node'],
      skipLibCheck: true
    }
  }))
  await run(bin('tsc'), ['--project', folder])
  t.pass('it compiles')
  // By Node as it is: types are stripped.
  await run(process.execPath, [join(folder, 'conversation.ts')], { env: { PARLEY_URL: client.url, PARLEY_KEY: adminKey } })
  t.pass('it holds a conversation')
})
