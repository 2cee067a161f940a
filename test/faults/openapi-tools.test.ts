import { execFile } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import openapiTS, { astToString } from 'openapi-typescript'
import t from 'tap'
import { startApp, temporaryFolder } from '../helper.ts'

const root = new URL('../../', import.meta.url).pathname
const run = promisify(execFile)
const tool = async (name: string, ...args: string[]) => await run(join(root, 'node_modules/.bin', name), args, {
  env: { ...process.env, REDOCLY_TELEMETRY: 'off', REDOCLY_SUPPRESS_UPDATE_NOTICE: 'true' }
}).catch((error: { stdout: string, stderr: string }) => error)

const { client } = await startApp(t)
const { body: document } = await client.with({}).ask('/openapi.json')

t.test('the document passes the linter without an error and without a warning', async (t) => {
  const file = join(await temporaryFolder(t), 'openapi.json')
  await writeFile(file, JSON.stringify(document))
  const { stdout, stderr } = await tool('redocly', 'lint', '--extends', 'recommended', '--format', 'json', file)
  const { totals, problems } = JSON.parse(stdout) as { totals: Record<string, number>, problems: unknown[] }
  t.match(totals, { errors: 0, warnings: 0, ignored: 0 }, stderr)
  t.strictSame(problems, [])
})

t.test('the document becomes types that compile', async (t) => {
  const folder = await temporaryFolder(t)
  await writeFile(join(folder, 'api.ts'), astToString(await openapiTS(JSON.stringify(document))))
  await writeFile(join(folder, 'client.ts'), `
    import { type components, type operations } from './api.ts'
    type Schemas = components['schemas']
    export const input: Schemas['ChatbotConfigInput'] = { purpose: 'Help.', tone: { language: 'de' } }
    export const patch: Schemas['ChatbotConfigPatch'] = { name: null }
    export const replyOf = ({ reply, botMessage }: Schemas['Exchange']): string => reply + (botMessage.finishReason ?? '')
    export const namesOf = ({ data }: { data: Array<Schemas['ChatbotConfig']> }): string[] => data.map(({ name }) => name)
    export const query: operations['sendMessage']['parameters']['query'] = {}
    export const codeOf = ({ code, retryable }: Schemas['Problem']): string | undefined => retryable ? undefined : code
    export const titleOf = ({ title }: Schemas['Session']): string => title ?? 'untitled'
    // @ts-expect-error purpose is required
    export const wrong: Schemas['ChatbotConfigInput'] = {}
  `)
  await writeFile(join(folder, 'tsconfig.json'), JSON.stringify({
    compilerOptions: {
      strict: true, exactOptionalPropertyTypes: true, module: 'nodenext', allowImportingTsExtensions: true, noEmit: true, types: []
    }
  }))
  const { stdout } = await tool('tsc', '--project', folder)
  t.equal(stdout, '')
})
