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

/**
 * A session in which all is well: a question whose first reply was cut off, one with a reply that was stopped, and what was
 * said instead of that one, with a reply that is erased.
 */
function wellKept () {
  const _id = new ObjectId()
  const [ids, line] = [Array.from({ length: 7 }, () => new ObjectId()), new ObjectId()]
  const place = (seq: number, rev: number, parent = seq - 1) =>
    ({ _id: ids[seq - 1], ...common, sessionId: _id, seq, rev, parentId: ids[parent - 1] ?? null })
  const first: Document = { ...place(1, 1), role: 'user', status: 'completed', content: 'Hello', idempotencyKey: 'k', requestHash: 'h' }
  const cut: Document = { ...place(2, 1), role: 'bot', status: 'interrupted', content: 'Good', replyTo: ids[0], error }
  const whole: Document = { ...place(3, 2), role: 'bot', status: 'completed', content: 'Good day', replyTo: ids[0], ...ran }
  const second: Document = { ...place(4, 3), role: 'user', status: 'completed', content: 'And?' }
  const last: Document = { ...place(5, 3), role: 'bot', status: 'stopped', content: '', replyTo: ids[3], ...ran }
  const edited: Document = { ...place(6, 5, 3), branchId: line, role: 'user', status: 'completed', content: 'But?', editOf: ids[3] }
  const erased: Document = { ...place(7, 5), branchId: line, role: 'bot', status: 'deleted', content: '', replyTo: ids[5], ...ran }
  const branch = { id: line, from: null, parentId: ids[2], parentSeq: 3, startSeq: 6, left: null }
  const session: Document = {
    _id, ...common, status: 'active', nextSeq: 8, rev: 6, tipId: ids[6], branchId: line, branches: [branch], log: [], turn: null
  }
  const changes = [{ sessionId: _id, rev: 4, type: 'session.updated' }, { sessionId: _id, rev: 6, type: 'message.deleted' }]
  const spent = { promptTokens: 1, completionTokens: 1, cachedTokens: 0, microUsd: 0 }
  const event: Document = {
    _id: `${String(ids[2])}:1`, source: String(ids[2]), attempt: 1, tenantId: 'default', day: '2026-03-01', messages: 1, outcome: 'completed', ...spent
  }
  const used = { tokens: 2, messages: 1 }
  const counter: Document = {
    _id: 'tenant:default', tenantId: 'default', day: { period: 20_513, ...used }, month: { period: 2026 * 12 + 2, ...used }, stale: false
  }
  return { session, first, cut, whole, second, last, edited, erased, changes, branch: branch as Document, event, counter }
}

type Kept = ReturnType<typeof wellKept>

async function store ({ session, changes, branch: _, event, counter, ...messages }: Kept, test: Test): Promise<[uri: string, database: string]> {
  const uri = await storeUri()
  const client = new MongoClient(uri)
  const db = client.db(databaseName())
  test.teardown(async () => {
    await db.dropDatabase()
    await client.close()
  })
  if (session['gone'] !== true) await db.collection('sessions').insertOne(session)
  await db.collection('messages').insertMany(Object.values(messages))
  await db.collection('changes').insertMany(changes)
  await db.collection('usageEvents').insertOne(event)
  await db.collection('quotaCounters').insertOne(counter)
  return [uri, db.databaseName]
}

const live = { turn: { messageId: new ObjectId() } }

/** How to break it, and what must be said of that. */
const breaches: Array<[name: string, plant: (kept: Kept) => void, expected: RegExp]> = [
  ['a gap', ({ edited, erased, session }) => { edited['seq'] = 7; erased['seq'] = 8; session['nextSeq'] = 9 }, /numbers are 1, 2, 3, 4, 5, 7, 8/],
  ['a start that is not 1', ({ first }) => { first['seq'] = 0 }, /numbers are 2, 3/],
  ['a twin', ({ last }) => { last['seq'] = 4 }, /numbers are 1, 2, 3, 4, 4, 6, 7/],
  ['a number taken for nothing', ({ session }) => { session['nextSeq'] = 9 }, /next number is 9/],
  ['a number that is taken already', ({ session }) => { session['nextSeq'] = 7 }, /next number is 7/],
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
  ['a reply with a key', ({ whole }) => { Object.assign(whole, { idempotencyKey: 'x', requestHash: 'h' }) }, /begins no branch/],
  ['a key without its hash', ({ first }) => { delete first['requestHash'] }, /come together/],
  ['an unknown role', ({ last }) => { last['role'] = 'system' }, /role system/],
  ['an unknown status', ({ last }) => { last['status'] = 'lost' }, /status lost/],
  ['a message behind another', ({ second, first }) => { second['parentId'] = first['_id'] }, /message 4 does not follow/],
  ['a first message behind something', ({ first, last }) => { first['parentId'] = last['_id'] }, /hangs elsewhere/],
  ['a branch that begins elsewhere', ({ branch }) => { branch['startSeq'] = 5 }, /begins elsewhere/],
  ['a branch that hangs elsewhere', ({ branch }) => { branch['parentSeq'] = 2 }, /hangs on a message that is not there/],
  ['a branch of no line', ({ branch }) => { branch['from'] = new ObjectId() }, /has left another line/],
  ['a branch without messages', ({ session, branch }) => { session['branches'] = [branch, { ...branch, id: new ObjectId() }] }, /has no messages/],
  ['a message on no line', ({ session }) => { session['branches'] = [] }, /line that is none/],
  ['a tip that is not the last', ({ session, last }) => { session['tipId'] = last['_id'] }, /does not go on behind/],
  ['a text that is left', ({ erased }) => { erased['content'] = 'secret' }, /something is left/],
  ['a change numbered as a turn', ({ changes }) => { changes[0]!.rev = 3 }, /the same number/],
  ['a change that is not counted', ({ session }) => { session['rev'] = 5 }, /counted less/],
  ['a change left behind', ({ session }) => { session['log'] = [{}] }, /not settled/],
  ['an order that goes back', ({ second }) => { second['rev'] = 1 }, /numbered lower/],
  ['an attempt that is missing in the ledger', ({ event }) => { event['attempt'] = 2 }, /attempts in the ledger are 2/],
  ['a reply that counts as none', ({ event }) => { event['messages'] = 0 }, /count as one message/],
  ['another usage in the ledger', ({ event }) => { event['promptTokens'] = 2 }, /another usage/],
  ['a cost that is not there', ({ event }) => { event['microUsd'] = 1 }, /another usage/],
  ['a reply without a whole attempt', ({ event }) => { event['outcome'] = 'aborted' }, /0 of its attempts are complete/],
  ['an outbox before its time', ({ first }) => { first['unrecorded'] = { attempts: [] } }, /before its end/],
  ['what is not recorded', ({ last }) => { last['unrecorded'] = { attempts: [] } }, /is not in the ledger/],
  ['half of an outbox', ({ whole }) => { whole['unrecorded'] = { attempts: [{}, {}] } }, /a part of its attempts/],
  ['tokens that are not counted', ({ counter }) => { counter['day'] = { period: 20_513, tokens: 1, messages: 1 } }, /1 tokens are counted/],
  ['messages that are not counted', ({ counter }) => { counter['month'] = { period: 2026 * 12 + 2, tokens: 2, messages: 0 } }, /0 messages are counted/],
  ['messages without a session', ({ session }) => { session['gone'] = true }, /is gone and its messages are not/]
]

t.test('a ledger in which all is well has no violation', async (t) => {
  t.same(await checkLedger(...await store(wellKept(), t), { deterministic: true, recorded: true }), [])
})

t.test('every violation is found', async (t) => {
  for (const [name, plant, expected] of breaches) {
    const kept = wellKept()
    plant(kept)
    t.match((await checkLedger(...await store(kept, t), { deterministic: true, recorded: true })).join('\n'), expected, name)
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
