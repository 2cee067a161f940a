import { setImmediate } from 'node:timers/promises'
import { ObjectId } from 'mongodb'
import { type Test } from 'tap'
import { requestHash } from '../src/chat/idempotency.ts'
import { databaseName, startApp, type TestApp } from './helper.ts'
import { startAppWithSim, type StepClock } from './sim.ts'

export interface MessageView { id: string, seq: number, role: string, content: string, status: string, error?: { code: string } }

/** The newest messages of a session. */
export const history = async ({ client }: Pick<TestApp, 'client'>, session: string) =>
  (await client.ask<{ data: MessageView[] }>(`/api/sessions/${session}/messages`)).body.data

/** Two replicas on one database; the second one talks to the same simulator. */
export async function startReplicas (t: Test, clock: StepClock, env: Record<string, string> = {}) {
  const shared = { MONGODB_DATABASE: databaseName(), STREAM_FLUSH_MS: '20', ...env }
  const first = await startAppWithSim(t, { clock, cadence: { chunkDelayMs: 20 } }, shared)
  const second = await startApp(t, {
    ...shared, MISTRAL_BASE_URL: first.sim.url, MISTRAL_API_KEY: 'sim', BOOTSTRAP_API_KEY: first.adminKey
  })
  return { first, second, sim: first.sim }
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
  const _id = new ObjectId(session)
  const botId = new ObjectId()
  const stored = await db.collection('sessions').findOneAndUpdate({ _id }, {
    $set: {
      nextSeq: 3,
      turn: { messageId: botId, seq: 2, leaseUntil: new Date(Date.now() - 60_000), idempotencyKey: null, lapsed: false }
    }
  })
  const common = { tenantId: 'default', configId: stored!['configId'] as ObjectId, configVersion: 1, sessionId: _id, userId: null, channel: null, timestamp: new Date() }
  const userId = new ObjectId()
  const both = [
    { _id: userId, ...common, seq: 1, role: 'user', content: 'Hello', status: 'completed', idempotencyKey: 'k', requestHash: requestHash({ message: 'Hello' }) },
    { _id: botId, ...common, seq: 2, role: 'bot', content: 'Partial', status: 'streaming', replyTo: userId }
  ]
  if (messages > 0) await db.collection('messages').insertMany(both.slice(0, messages))
  return { session, botId }
}
