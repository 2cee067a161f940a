import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { newApiKey } from '../../src/auth/api-key.ts'
import { missing, run } from '../foreign-tools.ts'
import { temporaryFolder } from '../helper.ts'
import { ServerProcess } from '../server-process.ts'
import { fetchGenerator, generate } from './generator.ts'
import { languages } from './languages.ts'

// The real OpenAPI Generator makes clients from the served document. Each must compile and hold a conversation with a running
// Parley. A language whose tools are missing on this machine is skipped, with the command that did not run.

interface Document {
  components: { schemas: Record<string, { example: unknown }> }
}

const work = await temporaryFolder(t)
const key = newApiKey()
const parley = new ServerProcess(t, { DATA_DIR: join(work, 'data'), PORT: '0', BOOTSTRAP_API_KEY: key, RATE_LIMIT_PER_MINUTE: '0' })
const url = await parley.serving()

const lack = await missing([['java', '-version'], ['mvn', '-version']])
const tools = await Promise.all(languages.map(async (language) => ({ ...language, lack: lack ?? await missing(language.needs) })))
const jar = lack === undefined ? await fetchGenerator() : ''
const document = join(work, 'openapi.json')
/** What a webhook brings of the kind that the conversations look for. */
let event = ''

t.test('there is a document for generators', async (t) => {
  const response = await fetch(`${url}/openapi-3.0.json`)
  t.equal(response.status, 200)
  const text = await response.text()
  await writeFile(document, text)
  event = JSON.stringify((JSON.parse(text) as Document).components.schemas['MessageFailedEvent']!.example)
})

for (const { name, lack, build } of tools) {
  t.test(name, { skip: lack !== undefined && `this does not run here: ${lack}` }, async (t) => {
    const folder = join(work, name)
    t.strictSame(await generate(jar, document, join(import.meta.dirname, name, 'generator.json'), folder), [], 'nothing to warn of')
    const [program, ...args] = await build(folder)
    t.pass('it compiles')
    await run(program, args, { cwd: folder, env: { PARLEY_URL: url, PARLEY_KEY: key, PARLEY_EVENT: event } })
    t.pass('it holds a conversation')
  })
}
