import { getEventListeners } from 'node:events'
import { request, type IncomingMessage } from 'node:http'
import { setTimeout as delay } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import t from 'tap'
import { allOf, startApp, storeUri, type TestApp } from '../helper.ts'
import { checkLedger } from '../ledger.ts'
import { startAppWithSim, startTestSim, type TestAppWithSim } from '../sim.ts'

t.setTimeout(180_000)
setFlagsFromString('--expose-gc')
const collectGarbage = runInNewContext('gc') as () => void

const LEAVERS = 500
const AT_ONCE = 50
const FLUSH_MS = 100

/** Sends a message, reads its first words, and leaves without a word. */
async function leaveMidStream ({ client, adminKey }: TestApp, session: string): Promise<void> {
  const leaving = request(`${client.url}/api/sessions/${session}/messages`, {
    method: 'POST',
    agent: false,
    headers: { 'x-api-key': adminKey, 'content-type': 'application/json', accept: 'text/event-stream' }
  })
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    leaving.on('response', resolve).on('error', reject).end(JSON.stringify({ message: 'one two three four five six seven' }))
  })
  response.setEncoding('utf8')
  for await (const text of response as AsyncIterable<string>) {
    if (text.includes('event: message.delta')) break
  }
  leaving.destroy()
}

async function leaveOften (app: TestAppWithSim, config: string, times: number): Promise<void> {
  for (let done = 0; done < times; done += AT_ONCE) {
    await Promise.all(Array.from({ length: AT_ONCE }, async () => await leaveMidStream(app, await app.client.createSession(config))))
  }
  while (await app.db.collection('messages').findOne({ status: 'streaming' })) await delay(20)
  await app.sim.idle()
}

/** What is held now: bytes after a collection, and open things by kind. */
async function held ({ app }: TestApp) {
  const sockets = await new Promise<number>((resolve) => app.server.getConnections((_error, count) => resolve(count)))
  // Collected in several rounds, because what one round frees may hold on to more.
  for (let round = 0; round < 5; round++) {
    collectGarbage()
    await delay(20)
  }
  return {
    bytes: process.memoryUsage().heapUsed,
    sockets,
    listeners: getEventListeners(app.chat.closing, 'abort').length,
    timers: process.getActiveResourcesInfo().filter((kind) => kind === 'Timeout').length
  }
}

t.test(`${LEAVERS} readers that leave in the middle of a reply leave nothing behind`, async (t) => {
  const app = await startAppWithSim(t, { cadence: { chunkDelayMs: 5 } })
  const config = await app.client.createConfig()
  await leaveOften(app, config, 150)
  const before = await held(app)
  await leaveOften(app, config, LEAVERS)
  // The ends of connections come a moment after those of the replies.
  let after = await held(app)
  for (let look = 0; look < 50 && after.sockets > before.sockets; look++) {
    await delay(100)
    after = await held(app)
  }
  t.comment({ before, after })
  t.ok(after.sockets <= before.sockets, 'sockets')
  t.equal(after.listeners, 0, 'listeners')
  t.ok(after.timers <= before.timers + 5, 'timers')
  t.ok(after.bytes < before.bytes * 1.1 + 2_000_000, 'memory')
  const statuses = await app.db.collection('messages').distinct('status')
  t.same(statuses, ['completed'], 'and every reply was written to its end')
  t.same(await checkLedger(await storeUri(), app.db.databaseName), [])
})

t.test('a streamed reply costs at most one small write per flush interval, and one at its end', async (t) => {
  const sim = await startTestSim(t, { cadence: { chunkDelayMs: 2 } })
  const env = { MISTRAL_BASE_URL: sim.url, MISTRAL_API_KEY: 'sim', STREAM_FLUSH_MS: String(FLUSH_MS) }
  const app = await startApp(t, env)
  const session = await app.client.converse()
  const commands: string[] = []
  app.app.mongo.client.on('commandStarted', ({ commandName, command }: { commandName: string, command: Record<string, unknown> }) => {
    commands.push(`${commandName} ${String(command[commandName === 'findAndModify' ? 'findAndModify' : commandName])}`)
  })
  const started = performance.now()
  const words = Array.from({ length: 600 }, (_, i) => `w${i}`).join(' ')
  const { events } = await app.client.events(`/api/sessions/${session}/messages`, { body: { message: words } })
  const all = await allOf(events)
  const intervals = Math.ceil((performance.now() - started) / FLUSH_MS)
  const count = (command: string) => commands.filter((name) => name === command).length
  t.ok(all.filter(({ event }) => event === 'message.delta').length > 3 * intervals, 'many pieces')
  t.ok(count('update messages') > 1)
  t.ok(count('update messages') <= intervals, `${count('update messages')} writes in ${intervals} intervals`)
  t.equal(count('findAndModify sessions'), 1, 'one takes the turn')
  t.equal(count('bulkWrite 1'), 1, 'one ends the message and releases the turn')
  t.same(await checkLedger(await storeUri(), app.db.databaseName), [])
})
