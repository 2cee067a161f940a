import { createHmac, randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { newApiKey } from '../../src/auth/api-key.ts'
import { missing, pythonNeeds, pythonWith, run } from '../foreign-tools.ts'
import { temporaryFolder } from '../helper.ts'
import { ServerProcess } from '../server-process.ts'

// Schemathesis makes requests of the served document, fitting and unfitting ones, and walks along its links. Whatever the document
// does not say of an answer is a finding; what is explained in schemathesis/exceptions.json is none.

t.setTimeout(600_000)

const settings = join(import.meta.dirname, 'schemathesis')
const seed = Number(process.env['SCHEMATHESIS_SEED'] ?? Date.now() % 2 ** 31)

interface Report {
  readonly phases: Record<string, { readonly status: string }>
  readonly test_cases: { readonly generated: number }
  readonly failures: readonly unknown[]
  readonly errors: readonly unknown[]
}

const secret = randomBytes(32).toString('hex')
const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')

// Not a key: the run revokes keys.
function adminToken (): string {
  const claims = { sub: 'schemathesis', scope: 'admin', exp: Math.floor(Date.now() / 1000) + 3600 }
  const signed = `${part({ alg: 'HS256', typ: 'JWT' })}.${part(claims)}`
  return `${signed}.${createHmac('sha256', secret).update(signed).digest('base64url')}`
}

const authorization = `Bearer ${adminToken()}`
const lack = await missing(pythonNeeds)
const programs = lack === undefined ? await pythonWith('schemathesis', 'schemathesis==4.32.5') : ''

const runs = [
  { name: 'with all rights', headers: ['--header', `Authorization: ${authorization}`], seconds: 95, registration: 'open' },
  // Whoever registers goes on as the owner of a tenant.
  { name: 'as a stranger who registers', headers: [], seconds: 30, registration: 'open' },
  { name: 'without a credential', headers: [], seconds: 15, registration: 'closed' }
]
for (const { name, headers, seconds, registration } of runs) {
  t.test(`${name}, seed ${seed}`, { skip: lack !== undefined && `this does not run here: ${lack}` }, async (t) => {
    const folder = await temporaryFolder(t)
    const parley = new ServerProcess(t, {
      DATA_DIR: join(folder, 'data'),
      PORT: '0',
      BOOTSTRAP_API_KEY: newApiKey(),
      JWT_SECRET: secret,
      RATE_LIMIT_PER_MINUTE: '0',
      REGISTRATION: registration
    })
    const url = await parley.serving()
    const report = join(folder, 'report.json')
    const printed = await run(join(programs, 'schemathesis'), [
      '--config-file', join(settings, 'schemathesis.toml'), 'run', `${url}/openapi.json`, ...headers,
      '--seed', String(seed), '--max-time', String(seconds), '--request-timeout', '20',
      '--continue-on-failure', '--no-shrink', '--generation-database', 'none', '--warnings', 'off', '--no-color',
      // These answers do not end.
      '--exclude-operation-id', 'followSession', '--exclude-operation-id', 'followTenant',
      '--report', 'json', '--report-json-path', report
    ], { cwd: folder, env: { SCHEMATHESIS_HOOKS: 'hooks', PYTHONPATH: settings, PYTHONDONTWRITEBYTECODE: '1' } }).catch(({ message }: Error) => message)

    const { failures, errors, phases, test_cases: { generated } } = JSON.parse(await readFile(report, 'utf8')) as Report
    // What it has drawn of its progress is left out.
    t.strictSame([...failures, ...errors], [], printed.slice(printed.indexOf('= FAILURES =')))
    t.comment(`${generated} requests; ${Object.entries(phases).map(([phase, { status }]) => `${phase}: ${status}`).join(', ')}`)
    const after = await fetch(`${url}/api/configs`, { headers: { authorization } })
    t.equal(after.status, 200, 'the server lives and knows its admin')
    t.notMatch(parley.stdout, /"level":(50|60|"error"|"fatal")/, 'nothing unforeseen is in its log')
  })
}
