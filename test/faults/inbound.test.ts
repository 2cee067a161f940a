import { setImmediate, setTimeout as delay } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { newApiKey } from '../../src/auth/api-key.ts'
import { databaseName, startApp, temporaryFolder, type Client, type TestApp } from '../helper.ts'
import { said, signers, type Signed } from '../integrations/signers.ts'
import { ServerProcess } from '../server-process.ts'
import { startAppWithSim, startTestSim } from '../sim.ts'

t.setTimeout(300_000)

const LEASE_MS = 1000
const SETTLED_MS = 30_000

interface Integration { readonly url: string, readonly secret: string }
interface MessageView { readonly role: string, readonly status: string }

async function integrate (client: Client): Promise<Integration> {
  const configId = await client.createConfig({ purpose: 'Help.', titles: false, summaries: false })
  return (await client.ask<Integration>('/api/integrations', { body: { name: 'Help desk', configId } })).body
}

const post = async (client: Client, url: string, { headers, body }: Signed) =>
  await client.with({}).ask<{ id: string }>(url, { method: 'POST', headers, body })

async function ended (client: Client, id: string): Promise<Record<string, unknown>> {
  const until = performance.now() + SETTLED_MS
  for (;;) {
    const { body } = await client.ask(`/api/webhook/deliveries/${id}`)
    if (body['status'] !== 'queued' || performance.now() > until) return body
    await delay(50)
  }
}

async function messagesOf (client: Client, sessionId: unknown): Promise<MessageView[]> {
  return (await client.ask<{ data: MessageView[] }>(`/api/sessions/${String(sessionId)}/messages`)).body.data
}

t.test('a thousand deliveries of one message at once make one turn', async (t) => {
  const { client, sim } = await startAppWithSim(t)
  const { url, secret } = await integrate(client)
  const signed = signers['standard']!(secret, said('Hello.'))
  const answers = await Promise.all(Array.from({ length: 1000 }, async () => await post(client, url, signed)))
  t.ok(answers.every(({ status }) => status === 202))
  t.equal(new Set(answers.map(({ body }) => JSON.stringify(body))).size, 1, 'all are answered the same')
  t.equal(answers.filter(({ headers }) => headers.get('idempotency-replayed') === null).length, 1, 'one was the first')
  const { status, sessionId } = await ended(client, answers[0]!.body.id)
  t.equal(status, 'completed')
  t.match(await messagesOf(client, sessionId), [{ role: 'user' }, { role: 'bot', status: 'completed' }])
  t.equal(sim.requests().length, 1, 'and the model is asked once')
})

t.test('how fast messages are taken on, and answered in order', async (t) => {
  const { client } = await startAppWithSim(t, { cadence: { chunkDelayMs: 1 } })
  const { url, secret } = await integrate(client)
  const times: number[] = []
  const ids: string[] = []
  let next = 0
  await Promise.all(Array.from({ length: 8 }, async () => {
    while (next < 200) {
      const signed = signers['standard']!(secret, said(`Number ${next}.`, { externalUserId: `user-${next++ % 40}` }))
      const asked = performance.now()
      const { status, body } = await post(client, url, signed)
      times.push(performance.now() - asked)
      if (status === 202) ids.push(body.id)
    }
  }))
  t.equal(ids.length, 200)
  times.sort((a, b) => a - b)
  t.comment(`202 after ${times[99]!.toFixed(0)} ms at the median, ${times[197]!.toFixed(0)} ms at 99 %`)
  const all = await Promise.all(ids.map(async (id) => await ended(client, id)))
  t.equal(all.filter(({ status }) => status === 'completed').length, 200)
  t.equal(new Set(all.map(({ sessionId }) => sessionId)).size, 40, 'one session for each user')
})

t.test('what fails and may pass is tried again, and the next message waits for it', async (t) => {
  const { client, sim } = await startAppWithSim(t)
  const { url, secret } = await integrate(client)
  sim.script([{ fault: { status: { code: 500 } } }, { fault: { status: { code: 500 } } }, { fault: { status: { code: 500 } } }])
  const [first, second] = [await post(client, url, signers['standard']!(secret, said('One.'))), await post(client, url, signers['standard']!(secret, said('Two.')))]
  t.match(await ended(client, second.body.id), { status: 'completed', attempts: 1 })
  const answered = await ended(client, first.body.id)
  t.match(answered, { status: 'completed', error: null })
  t.ok(Number(answered['attempts']) >= 2)
  const { body: { data } } = await client.ask<{ data: Array<{ role: string, content: string }> }>(`/api/sessions/${String(answered['sessionId'])}/messages`)
  t.strictSame(data.filter(({ role }) => role === 'user').map(({ content }) => content), ['One.', 'Two.'])
})

t.test('what a user writes is answered once and in its order, whichever replica it comes to', async (t) => {
  const env = { MONGODB_DATABASE: databaseName(), BOOTSTRAP_API_KEY: newApiKey(), ENCRYPTION_KEYS: `one:${Buffer.alloc(32).toString('base64')}` }
  const replicas = [await startApp(t, env), await startApp(t, env)]
  const [{ client, db }] = replicas as [TestApp, TestApp]
  const { url, secret } = await integrate(client)
  for (let i = 0; i < 60; i++) {
    const signed = signers['standard']!(secret, said(`Number ${i}.`))
    const [one, other] = await Promise.all(replicas.map(async ({ client }) => await post(client, url, signed)))
    t.strictSame(one!.body, other!.body)
  }
  while (await db.collection('inboundMessages').findOne({ status: 'queued' })) await delay(20)
  t.equal(await db.collection('sessions').countDocuments({}), 1)
  const users = await db.collection('messages').find({ role: 'user' }).sort({ seq: 1 }).toArray()
  t.strictSame(users.map(({ content }) => String(content)), Array.from({ length: 60 }, (_, i) => `Number ${i}.`))
  t.equal(await db.collection('messages').countDocuments({ role: 'bot', status: 'completed' }), 60)
})

// Where a process dies: phase, command, collection, and the how manyth of it.
const points = [
  'after findAndModify inboundMessages 1', 'sent findAndModify inboundMessages 2', 'after update inboundMessages 1', 'after insert messages 1',
  'before update inboundMessages 2'
]

async function survive (t: Test, point: string): Promise<void> {
  const sim = await startTestSim(t, { cadence: { chunkDelayMs: 5 } })
  const key = newApiKey()
  const env = {
    PORT: '0',
    DATA_DIR: await temporaryFolder(t),
    MONGODB_DATABASE: databaseName(),
    MISTRAL_BASE_URL: sim.url,
    MISTRAL_API_KEY: 'sim',
    BOOTSTRAP_API_KEY: key,
    RATE_LIMIT_PER_MINUTE: '0',
    TURN_LEASE_MS: String(LEASE_MS)
  }
  const victim = new ServerProcess(t, { ...env, CRASH_AT: point }, { entry: 'test/crashing-server.ts' })
  const client = await victim.client(key)
  const { url, secret } = await integrate(client)
  const signed = signers['standard']!(secret, said('Hello.'))
  victim.child.kill('SIGUSR2')
  while (victim.logged('armed')['msg'] === undefined) await setImmediate()
  const taken = await post(client, url, signed).catch(() => undefined)
  t.equal((await victim.ended).stderr, 'dying as told\n', `${point}: it died`)

  const next = await new ServerProcess(t, env).client(key)
  // What was acknowledged is answered without being sent again.
  if (taken) t.match(await ended(next, taken.body.id), { status: 'completed' }, `${point}: the reply comes all the same`)
  const again = await post(next, url, signed)
  t.equal(again.status, 202)
  if (taken) t.strictSame(again.body, taken.body, `${point}: a repeat is answered the same`)
  const { sessionId } = await ended(next, again.body.id)
  const messages = await messagesOf(next, sessionId)
  t.equal(messages.filter(({ role }) => role === 'user').length, 1, `${point}: it is said once`)
  t.equal(messages.filter(({ status, role }) => role === 'bot' && status === 'completed').length, 1, `${point}: and answered once`)
  t.equal((await next.ask<{ data: unknown[] }>('/api/sessions')).body.data.length, 1, `${point}: in one session`)
}

t.test('a process that dies between taking a message on and its reply loses nothing and doubles nothing', async (t) => {
  t.jobs = 2
  for (const point of points) t.test(point, async (t) => await survive(t, point))
})
