import { setImmediate } from 'node:timers/promises'
import { ObjectId } from 'mongodb'
import { type Test } from 'tap'
import { requestHash } from '../src/chat/turn-work.ts'
import { newApiKey } from '../src/auth/api-key.ts'
import { type SimOptions } from '../src/mistral-sim/index.ts'
import { databaseName, startApp, storeUri, temporaryFolder, type SentEvent, type TestApp } from './helper.ts'
import { checkLedger } from './ledger.ts'
import { ServerProcess } from './server-process.ts'
import { startAppWithSim, startTestSim, type StepClock } from './sim.ts'

export interface MessageView { id: string, seq: number, role: string, content: string, status: string, error?: { code: string } }

/** The newest messages of a session. */
export const history = async ({ client }: Pick<TestApp, 'client'>, session: string) =>
  (await client.ask<{ data: MessageView[] }>(`/api/sessions/${session}/messages`)).body.data

/** Two replicas on one database; the second one talks to the same simulator. */
export async function startReplicas (t: Test, clock: StepClock, env: Record<string, string> = {}) {
  const shared = { MONGODB_DATABASE: databaseName(), STREAM_FLUSH_MS: '20', ...env }
  const first = await startAppWithSim(t, { clock, cadence: { chunkDelayMs: 20 } }, shared)
  const second = await startApp(t, {
    ...shared, ...modelAt(first.sim.url), BOOTSTRAP_API_KEY: first.adminKey
  })
  return { first, second, sim: first.sim }
}

/** What server processes have in common that are replicas of each other, and where to look at what they store. */
export async function replicaEnv (t: Test, env: Record<string, string> = {}) {
  const [key, database, uri] = [newApiKey(), databaseName(), await storeUri()]
  const shared = {
    PORT: '0',
    NODE_ENV: 'production',
    DATA_DIR: await temporaryFolder(t),
    MONGODB_URI: uri,
    MONGODB_DATABASE: database,
    BOOTSTRAP_API_KEY: key,
    RATE_LIMIT_PER_MINUTE: '0',
    ...env
  }
  return { key, uri, database, env: shared }
}

/** For replicas that talk to this simulator. */
export const modelAt = (url: string) => ({ MISTRAL_BASE_URL: url, MISTRAL_API_KEY: 'sim' })

/** Two server processes on one database, and the simulator they talk to. `ledger` gives the violations in the database. */
export async function startProcesses (t: Test, simOptions: SimOptions, env: Record<string, string> = {}) {
  const sim = await startTestSim(t, simOptions)
  const { key, uri, database, env: shared } = await replicaEnv(t, { ...modelAt(sim.url), ...env })
  const [first, second] = [new ServerProcess(t, shared), new ServerProcess(t, shared)]
  const clients = await Promise.all([first.client(key), second.client(key)])
  return { sim, first, second, clients, uri, database, ledger: async () => await checkLedger(uri, database) }
}

/** The text that the deltas of a stream make up, after a check that each begins where the last one ended. */
export function textOf (events: SentEvent[], from = 0): string {
  let text = ''
  for (const { event, data } of events) {
    if (event !== 'message.delta') continue
    if (data['offset'] !== from + text.length) throw new Error(`a delta at ${String(data['offset'])}, not at ${from + text.length}`)
    text += data['delta'] as string
  }
  return text
}

/** Reads the history until it says what is expected. */
export async function eventually (app: Pick<TestApp, 'client'>, session: string, expected: (messages: MessageView[]) => boolean): Promise<MessageView[]> {
  for (;;) {
    const messages = await history(app, session)
    if (expected(messages)) return messages
    await setImmediate()
  }
}

/** What a process leaves behind that dies in the middle of a turn: the message `Hello` with the key `k`, and a part of the reply. */
export async function leaveTurn ({ db, client }: TestApp, { messages }: { messages: 0 | 1 | 2 }): Promise<{ session: string, botId: ObjectId }> {
  const session = await client.converse()
  const botId = new ObjectId()
  await db.collection('sessions').updateOne({ _id: new ObjectId(session) }, {
    $set: {
      nextSeq: 3,
      rev: 1,
      tipId: botId,
      turn: { messageId: botId, seq: 2, rev: 1, parentId: null, leaseUntil: new Date(Date.now() - 60_000), idempotencyKey: null, lapsed: false }
    }
  })
  if (messages > 0) await writeMessages({ db }, session, botId, 'streaming', messages)
  return { session, botId }
}

/** Writes the first `count` messages of the turn that was left, with this status of the reply. */
export async function writeMessages (
  { db }: Pick<TestApp, 'db'>, session: string, botId: ObjectId, status: string, count = 2
): Promise<void> {
  const sessionId = new ObjectId(session)
  const configId = (await db.collection('sessions').findOne({ _id: sessionId }))!['configId'] as ObjectId
  const common = { tenantId: 'default', configId, sessionId, userId: null, channel: null, rev: 1, timestamp: new Date() }
  const userId = new ObjectId()
  await db.collection('messages').insertMany([
    {
      _id: userId,
      ...common,
      seq: 1,
      parentId: null,
      role: 'user',
      content: 'Hello',
      status: 'completed',
      idempotencyKey: 'k',
      requestHash: requestHash({ kind: 'send', input: { message: 'Hello' } })
    },
    { _id: botId, ...common, configVersion: 1, seq: 2, parentId: userId, role: 'bot', content: 'Partial', status, replyTo: userId }
  ].slice(0, count))
}
