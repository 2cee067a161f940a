import { execFile } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { promisify } from 'node:util'
import t from 'tap'
import { runCommand } from '../../src/seed/command.ts'
import { startApp, temporaryFolder } from '../helper.ts'

async function seed (args: string[], env: Record<string, string>): Promise<{ code: number, said: string, complained: string }> {
  const said: string[] = []
  const complained: string[] = []
  const code = await runCommand(args, env, (line) => said.push(line), (line) => complained.push(line))
  return { code, said: said.join('\n'), complained: complained.join('\n') }
}

const { client, adminKey, db } = await startApp(t)

t.test('a demonstration is put into an empty tenant once, and what was cut off goes on', async (t) => {
  const counts = async () => await Promise.all(['configs', 'sessions', 'messages'].map(async (name) => await db.collection(name).countDocuments({})))
  const DATA_DIR = await temporaryFolder(t)
  await writeFile(`${DATA_DIR}/api-key`, `${adminKey}\n`)
  const first = await seed([], { DATA_DIR, PORT: new URL(client.url).port })
  t.match(first, { code: 0, complained: '' })
  t.notMatch(first.said, adminKey)
  t.strictSame(await counts(), [2, 3, 12])
  t.match((await client.ask('/api/feedback')).body, { data: { length: 2 } })
  const { body: { data: [{ id }] } } = await client.ask<{ data: [{ id: string }] }>('/api/sessions?userId=anna')
  const { body: history } = await client.ask<{ data: Array<{ content: string }> }>(`/api/sessions/${id}/messages`)
  t.match(history.data.map(({ content }) => content), ['When will my order ship?', /within two days/, 'And what does delivery cost?', /free from 50 euros/])

  const { stdout } = await promisify(execFile)('bash', ['-c', `set -e\n${first.said}`])
  t.match(stdout, /^event: message\.completed$/m, 'what it says to try can be tried')
  t.strictSame(await counts(), [2, 3, 14])

  await client.ask(`/api/sessions/${id}`, { method: 'DELETE' })
  const again = await seed([`${client.url}/`], { PARLEY_API_KEY: adminKey })
  t.equal(again.code, 0)
  t.match(again.said, 'X-API-Key: $PARLEY_API_KEY')
  t.equal((await client.ask<{ data: unknown[] }>('/api/sessions')).body.data.length, 3)
  const whole = await seed([client.url], { BOOTSTRAP_API_KEY: adminKey })
  t.equal(whole.said, again.said.replaceAll('PARLEY_API_KEY', 'BOOTSTRAP_API_KEY'), 'and again it is the same')
  t.match((await client.ask('/api/feedback')).body, { data: { length: 2 } })
})

t.test('it is not put beside chatbots of others unasked', async (t) => {
  const PARLEY_API_KEY = adminKey
  await client.createConfig({ name: 'Ours' })
  const { _id, ...ours } = (await db.collection('configs').findOne({ name: 'Ours' }))!
  await db.collection('configs').insertMany(Array.from({ length: 100 }, (_, i) => ({ ...ours, name: `Ours ${i}` })))
  const refused = await seed([client.url], { PARLEY_API_KEY })
  t.match(refused, { code: 1, said: '', complained: /^nothing more was seeded: there are chatbots already, such as "Ours[^\n]*$/ })
  t.equal((await seed([client.url, '--beside-others'], { PARLEY_API_KEY })).code, 0)
  t.equal(await db.collection('configs').countDocuments({ name: /^Demonstration/ }), 2, 'it is found behind them')
})

t.test('what cannot be is said in one line', async (t) => {
  const DATA_DIR = await temporaryFolder(t)
  for (const [args, env, code, complaint] of [
    [['--all'], {}, 2, /--all[^]*npm run seed/],
    [['here', 'there'], {}, 2, /^One address/],
    [['ftp://here'], {}, 2, /^The address/],
    [[], { DATA_DIR }, 1, /there is no key in/],
    [[], { PORT: 'x' }, 1, /PORT cannot be used/],
    [['http://127.0.0.1:1'], { PARLEY_API_KEY: 'pk' }, 1, /nobody answers at http:\/\/127\.0\.0\.1:1 /],
    [[client.url], { PARLEY_API_KEY: 'canary é' }, 1, /the key is none/],
    [[client.url], { PARLEY_API_KEY: 'pk_canary' }, 1, /GET \/api\/configs\?limit=100 was refused: 401 unauthenticated/]
  ] as const) {
    const outcome = await seed([...args], env)
    t.match(outcome, { code, said: '', complained: complaint }, args.join(' '))
    t.notMatch(outcome.complained, 'canary')
  }
})
