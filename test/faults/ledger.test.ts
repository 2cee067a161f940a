import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { MongoClient, ObjectId } from 'mongodb'
import t, { type Test } from 'tap'
import { databaseName, startApp, storeUri } from '../helper.ts'
import { checkLedger } from '../ledger.ts'

type Document = Record<string, unknown>

const common = { tenantId: 'default', configId: new ObjectId(), userId: null, channel: null }
const usage = { promptTokens: 1, completionTokens: 1, totalTokens: 2 }
const ran = { usage, latency: { totalMs: 1 } }
const error = { code: 'overloaded', detail: 'Cut off.' }

/** A session in which all is well: a question whose first reply was cut off, and one with a reply that was stopped. */
function wellKept () {
  const _id = new ObjectId()
  const place = (seq: number) => ({ _id: new ObjectId(), ...common, sessionId: _id, seq })
  const first: Document = { ...place(1), role: 'user', status: 'completed', content: 'Hello', idempotencyKey: 'k', requestHash: 'h' }
  const cut: Document = { ...place(2), role: 'bot', status: 'interrupted', content: 'Good', replyTo: first['_id'], error }
  const whole: Document = { ...place(3), role: 'bot', status: 'completed', content: 'Good day', replyTo: first['_id'], ...ran }
  const second: Document = { ...place(4), role: 'user', status: 'completed', content: 'And?' }
  const last: Document = { ...place(5), role: 'bot', status: 'stopped', content: '', replyTo: second['_id'], ...ran }
  const session: Document = { _id, ...common, status: 'active', nextSeq: 6, turn: null }
  return { session, first, cut, whole, second, last }
}

type Kept = ReturnType<typeof wellKept>

async function store ({ session, ...messages }: Kept, test: Test): Promise<[uri: string, database: string]> {
  const uri = await storeUri()
  const client = new MongoClient(uri)
  const db = client.db(databaseName())
  test.teardown(async () => {
    await db.dropDatabase()
    await client.close()
  })
  if (session['gone'] !== true) await db.collection('sessions').insertOne(session)
  await db.collection('messages').insertMany(Object.values(messages))
  return [uri, db.databaseName]
}

const live = { turn: { messageId: new ObjectId() }, nextSeq: 6 }

/** How to break it, and what must be said of that. */
const breaches: Array<[name: string, plant: (kept: Kept) => void, expected: RegExp]> = [
  ['a gap', ({ second, last, session }) => { second['seq'] = 5; last['seq'] = 6; session['nextSeq'] = 7 }, /numbers are 1, 2, 3, 5, 6/],
  ['a start that is not 1', ({ first }) => { first['seq'] = 0 }, /numbers are 0, 2/],
  ['a twin', ({ last }) => { last['seq'] = 4 }, /numbers are 1, 2, 3, 4, 4/],
  ['a number taken for nothing', ({ session }) => { session['nextSeq'] = 7 }, /next number is 7/],
  ['a number that is taken already', ({ session }) => { session['nextSeq'] = 5 }, /next number is 5/],
  ['a turn left behind', ({ session }) => { session['turn'] = live.turn }, /turn is left/],
  ['a ticket left behind', ({ session }) => { session['tickets'] = [{}] }, /still waits/],
  ['a reply that has not ended', ({ cut }) => { cut['status'] = 'streaming'; delete cut['error'] }, /1 replies have not ended/],
  ['a key twice', ({ second }) => { Object.assign(second, { idempotencyKey: 'k', requestHash: 'h' }) }, /stands for two/],
  ['a message of another tenant', ({ first }) => { first['tenantId'] = 'other' }, /another tenantId/],
  ['a message of another user', ({ first }) => { first['userId'] = 'someone' }, /another userId/],
  ['a reply to nothing', ({ last }) => { delete last['replyTo'] }, /replies to no message/],
  ['a reply to a message elsewhere', ({ last }) => { last['replyTo'] = new ObjectId() }, /replies to no message/],
  ['a reply to a reply', ({ last, whole }) => { last['replyTo'] = whole['_id'] }, /replies to a reply/],
  ['a reply to what comes later', ({ cut, second }) => { cut['replyTo'] = second['_id'] }, /comes before/],
  ['two replies that count', ({ cut }) => { cut['status'] = 'stopped'; delete cut['error'] }, /2 replies count/],
  ['a second run for nothing', ({ last, first, whole, cut }) => {
    last['replyTo'] = first['_id']
    Object.assign(last, { status: 'failed', error })
    cut['replyTo'] = whole['replyTo']
  }, /ran again/],
  ['a part that is not of the whole', ({ cut }) => { cut['content'] = 'Bad' }, /not how the whole one starts/],
  ['usage that is missing', ({ whole }) => { delete whole['usage']; delete whole['latency'] }, /has its usage/],
  ['usage of what did not run', ({ cut }) => { cut['usage'] = usage }, /exactly where/],
  ['usage that is lost', ({ last }) => { delete last['usage'] }, /exactly where/],
  ['usage before the end', ({ cut }) => { delete cut['error']; Object.assign(cut, { status: 'streaming', ...ran }) }, /no usage yet/],
  ['an error on a whole reply', ({ whole }) => { whole['error'] = error }, /error is there exactly/],
  ['no error on a part', ({ cut }) => { delete cut['error'] }, /error is there exactly/],
  ['no text', ({ cut }) => { cut['content'] = null }, /no text/],
  ['an empty question', ({ first }) => { first['content'] = '' }, /says something/],
  ['a question that streams', ({ first }) => { first['status'] = 'streaming' }, /complete from the start/],
  ['a question with usage', ({ first }) => { first['usage'] = usage }, /is no reply/],
  ['a reply with a key', ({ whole }) => { Object.assign(whole, { idempotencyKey: 'x', requestHash: 'h' }) }, /bears no key/],
  ['a key without its hash', ({ first }) => { delete first['requestHash'] }, /come together/],
  ['an unknown role', ({ last }) => { last['role'] = 'system' }, /role system/],
  ['an unknown status', ({ last }) => { last['status'] = 'lost' }, /status lost/],
  ['messages without a session', ({ session }) => { session['gone'] = true }, /is gone and its messages are not/]
]

t.test('a ledger in which all is well has no violation', async (t) => {
  t.same(await checkLedger(...await store(wellKept(), t), { deterministic: true }), [])
})

t.test('every violation is found', async (t) => {
  for (const [name, plant, expected] of breaches) {
    const kept = wellKept()
    plant(kept)
    t.match((await checkLedger(...await store(kept, t), { deterministic: true })).join('\n'), expected, name)
  }
})

t.test('turns that run are no violation where they are expected', async (t) => {
  const kept = wellKept()
  Object.assign(kept.session, { turn: { messageId: kept.last['_id'] as ObjectId }, tickets: [{}] })
  kept.last = { ...kept.last, status: 'streaming', usage: undefined, latency: undefined }
  delete kept.last['usage']
  delete kept.last['latency']
  const place = await store(kept, t)
  t.same(await checkLedger(...place, { live: true }), [])
  t.match((await checkLedger(...place)).join('\n'), /turn is left[^]*waits[^]*not ended/)
})

t.test('two replies at once are a violation even then', async (t) => {
  const kept = wellKept()
  for (const reply of [kept.cut, kept.last]) {
    reply['status'] = 'streaming'
    for (const name of ['usage', 'latency', 'error']) delete reply[name]
  }
  t.match((await checkLedger(...await store(kept, t), { live: true })).join('\n'), /2 replies run at once/)
})

t.test('what is deleted may be half purged', async (t) => {
  const kept = wellKept()
  Object.assign(kept.session, { status: 'deleted' })
  kept.first['seq'] = 9
  t.same(await checkLedger(...await store(kept, t)), [])
})

t.test('the checker is a program, too, and real conversations pass it', async (t) => {
  const { client, db } = await startApp(t)
  const session = await client.converse()
  const body = { message: 'Hello' }
  t.match(await client.ask(`/api/sessions/${session}/messages`, { body, headers: { 'idempotency-key': 'k' } }), { status: 200 })
  const run = async (...args: string[]) => await promisify(execFile)(process.execPath, ['test/ledger.ts', ...args])
    .catch((error: unknown) => error as { code: number, stdout: string })
  t.match(await run(await storeUri(), db.databaseName), { stdout: '' })
  await db.collection('messages').deleteOne({ seq: 1 })
  t.match(await run(await storeUri(), db.databaseName), { code: 1, stdout: /numbers are 2/ })
  t.match(await run(), { code: 2 })
})
