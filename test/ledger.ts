import { type Document, type ObjectId, MongoClient } from 'mongodb'

export interface LedgerOptions {
  /** Turns that still run are no violation. */
  readonly live?: boolean
  /** The model says the same to the same prompt: a reply that was cut off is the start of the one that counts. */
  readonly deterministic?: boolean
  /** Nothing is on its way to the usage ledger any more. */
  readonly recorded?: boolean
}

interface StoredMessage extends Document {
  _id: ObjectId
  sessionId: ObjectId
  seq: number
  rev: number
  parentId: ObjectId | null
  branchId?: ObjectId
  role: string
  content: string
  status: string
  replyTo?: ObjectId
}

interface StoredEvent extends Document {
  _id: string
  source: string
  attempt: number
  tenantId: string
  day: string
  user: string | null
  keyId: string | null
  messages: number
}

interface StoredCounter extends Document {
  _id: string
  tenantId: string
  day: { period: number, tokens: number, messages: number }
  month: { period: number, tokens: number, messages: number }
  stale: boolean
}

interface Kept {
  readonly sessions: StoredSession[]
  readonly messages: StoredMessage[]
  readonly changes: Document[]
  readonly events: StoredEvent[]
  readonly counters: StoredCounter[]
}

interface StoredSession extends Document {
  _id: ObjectId
  status: string
  nextSeq: number
  turn: { messageId: ObjectId } | null
  rev: number
  clearedSeq?: number
  tipId?: ObjectId | null
  branchId?: ObjectId | null
  branches?: Array<{ id: ObjectId, from: ObjectId | null, parentId: ObjectId | null, parentSeq: number, startSeq: number }>
}

type Report = (broken: boolean, rule: string) => void

const endings = ['completed', 'stopped', 'failed', 'interrupted', 'deleted']
const counts = ({ status }: StoredMessage) => status === 'completed' || status === 'stopped'
const hex = (id: ObjectId | undefined) => String(id)

/** What a message must be, whatever is around it. */
function checkMessage (message: StoredMessage, report: Report): void {
  const { role, content, status, usage, latency, error, replyTo, idempotencyKey, requestHash } = message
  report(typeof content !== 'string', 'its content is no text')
  const isErased = status === 'deleted'
  report(isErased && (content !== '' || requestHash !== undefined || error !== undefined), 'something is left of what was erased')
  report(!isErased && (idempotencyKey === undefined) !== (requestHash === undefined), 'a key and the hash of its request come together')
  if (role === 'user') {
    report(!isErased && status !== 'completed', 'a user message is complete from the start')
    report(!isErased && content === '', 'a user message says something')
    report(usage !== undefined || replyTo !== undefined || error !== undefined, 'a user message is no reply')
    return
  }
  report(role !== 'bot', `nobody has the role ${role}`)
  report(status !== 'streaming' && !endings.includes(status), `there is no status ${status}`)
  // Only the process that ran a turn knows how long it took.
  report((usage === undefined) !== (latency === undefined), 'usage is there exactly where the end was written by who ran it')
  report(['completed', 'failed'].includes(status) && usage === undefined, 'a reply that ran to its end has its usage')
  report(status === 'streaming' && usage !== undefined, 'a reply that runs has no usage yet')
  report(['failed', 'interrupted'].includes(status) !== (error !== undefined), 'an error is there exactly where a reply is not complete')
}

/** What a reply must be to the message it answers. */
function checkReply (reply: StoredMessage, byId: ReadonlyMap<string, StoredMessage>, report: Report): void {
  // What it answered was too old to be kept, and it begins its line since.
  if (reply.replyTo === undefined && reply.parentId === null) return
  const answered = byId.get(hex(reply.replyTo))
  report(answered === undefined, 'it replies to no message of its session')
  if (!answered) return
  report(answered.role !== 'user', 'it replies to a reply')
  report(answered.seq >= reply.seq, 'it comes before what it replies to')
}

/** The replies to one message on one line. */
function checkReplies (replies: StoredMessage[], { deterministic }: LedgerOptions, report: Report): void {
  const counted = replies.filter(counts)
  report(counted.length > 1, `${counted.length} replies count`)
  report(counted.length > 0 && counted[0] !== replies.at(-1), 'it ran again although it had a reply')
  const whole = replies.find(({ status }) => status === 'completed')
  if (!deterministic || !whole) return
  for (const { content } of replies) report(!whole.content.startsWith(content), 'a part of a reply is not how the whole one starts')
}

function checkSession (session: StoredSession, messages: StoredMessage[], options: LedgerOptions, report: Report): void {
  const cleared = session.clearedSeq ?? 0
  const seqs = messages.map(({ seq }) => seq)
  const lastSeq = cleared + messages.length
  const { turn, nextSeq, tickets } = session
  report(seqs.some((seq, i) => seq !== cleared + i + 1), `its numbers are ${seqs.join(', ')}`)
  // A live turn has taken one or two numbers that no message may bear yet.
  const taken = options.live && turn ? 2 : 0
  report(nextSeq <= lastSeq || nextSeq > lastSeq + 1 + taken, `the next number is ${nextSeq} after ${lastSeq} messages`)
  report(turn !== null && !options.live, 'a turn is left on it')
  report(Array.isArray(tickets) && tickets.length > 0 && !options.live, 'somebody still waits for its turn')
  const streaming = messages.filter(({ status }) => status === 'streaming')
  report(streaming.length > 0 && !options.live, `${streaming.length} replies have not ended`)
  report(streaming.length > 1, `${streaming.length} replies run at once`)
  const keys = messages.flatMap(({ idempotencyKey }) => idempotencyKey === undefined ? [] : [String(idempotencyKey)])
  report(new Set(keys).size < keys.length, 'a key stands for two messages')
  for (const field of ['tenantId', 'configId', 'userId', 'channel']) {
    report(messages.some((message) => String(message[field]) !== String(session[field])), `a message has another ${field}`)
  }
}

/** Every message follows the one before it on its line, and every line begins where it says. */
function checkLines (session: StoredSession, messages: StoredMessage[], { live }: LedgerOptions, report: Report): void {
  const { branches = [], branchId, tipId } = session
  const begins = new Set(branches.map(({ startSeq }) => startSeq))
  for (const { role, seq, idempotencyKey } of messages) {
    report(role === 'bot' && idempotencyKey !== undefined && !begins.has(seq), 'a reply that begins no branch bears a key')
  }
  const byLine = Map.groupBy(messages, (message) => hex(message.branchId ?? undefined))
  const lines = [{ id: undefined, parentId: null, parentSeq: 0, startSeq: undefined, from: null }, ...branches]
  for (const { id, parentId, parentSeq, startSeq, from } of lines) {
    const [first, ...others] = byLine.get(hex(id)) ?? []
    byLine.delete(hex(id))
    if (!first) {
      report(id !== undefined && !live, 'a branch has no messages')
      continue
    }
    report(startSeq !== undefined && first.seq !== startSeq, 'a branch begins elsewhere')
    report(hex(first.parentId ?? undefined) !== hex(parentId ?? undefined), 'the first message of a line hangs elsewhere')
    for (const [i, message] of others.entries()) {
      report(hex(message.parentId ?? undefined) !== hex([first, ...others][i]!._id), `message ${message.seq} does not follow the one before it`)
    }
    const parent = messages.find(({ _id }) => parentId?.equals(_id))
    report(parentId !== null && parent?.seq !== parentSeq, 'a branch hangs on a message that is not there')
    report(parent !== undefined && hex(parent.branchId) !== hex(from ?? undefined), 'a branch has left another line')
  }
  report(byLine.size > 0, 'a message is on a line that is none')
  if (live) return
  const tip = messages.findLast((message) => hex(message.branchId) === hex(branchId ?? undefined)) ??
    messages.find(({ _id }) => branches.find(({ id }) => branchId?.equals(id))?.parentId?.equals(_id))
  report(hex(tipId ?? undefined) !== hex(tip?._id), 'it does not go on behind the last message of its line')
}

/** What a reply took is in the ledger, attempt by attempt, or still with the reply. */
function checkUsage (message: StoredMessage, events: StoredEvent[], { recorded }: LedgerOptions, report: Report): void {
  const outbox = message['unrecorded'] as { attempts: Document[] } | undefined
  report(outbox !== undefined && (message.role !== 'bot' || message.status === 'streaming'), 'it has used something before its end')
  report(outbox !== undefined && recorded === true, 'what it took is not in the ledger')
  if (message.role !== 'bot') return
  const numbers = events.map(({ attempt }) => attempt).sort((a, b) => a - b)
  report(numbers.some((number, i) => number !== i + 1), `its attempts in the ledger are ${numbers.join(', ')}`)
  report(events.some(({ attempt, messages }) => messages !== (attempt === 1 ? 1 : 0)), 'it does not count as one message')
  const attempts: Document[] = events.length > 0 ? events : outbox?.attempts ?? []
  report(outbox !== undefined && events.length > 0 && events.length !== outbox.attempts.length, 'a part of its attempts is in the ledger')
  const usage = message['usage'] as Document | undefined
  if (message.status !== 'completed' || !usage || attempts.length === 0) return
  const whole = attempts.filter(({ outcome }) => outcome === 'completed')
  report(whole.length !== 1, `${whole.length} of its attempts are complete`)
  const [last] = whole
  const isSame = last && ['promptTokens', 'completionTokens'].every((name) => last[name] === usage[name]) &&
    last['cachedTokens'] === (usage['cachedTokens'] ?? 0) && last['microUsd'] === Math.round((usage['costUsd'] as number | undefined ?? 0) * 1e6)
  report(!isSame, 'the ledger has another usage')
}

/** What counts against a quota is what is in the ledger. */
function checkCounter ({ _id, tenantId, day, month, stale }: StoredCounter, events: StoredEvent[], report: Report): void {
  // That it may be wrong is known.
  if (stale) return
  const [kind, name] = _id.split(':')
  const own = events.filter((event) => event.tenantId === tenantId && (kind === 'tenant' || event[kind === 'user' ? 'user' : 'keyId'] === name))
  const today = new Date(day.period * 86_400_000).toISOString().slice(0, 10)
  const thisMonth = new Date(Date.UTC(Math.floor(month.period / 12), month.period % 12)).toISOString().slice(0, 7)
  for (const [period, counted] of [[today, day], [thisMonth, month]] as const) {
    const meant = own.filter((event) => event.day.startsWith(period))
    const sum = (value: (event: StoredEvent) => number) => meant.reduce((total, event) => total + value(event), 0)
    const tokens = sum(({ promptTokens, completionTokens }) => Number(promptTokens) + Number(completionTokens))
    report(counted.tokens !== tokens, `${counted.tokens} tokens are counted for ${period}, and ${tokens} are in the ledger`)
    const replies = sum(({ messages }) => messages)
    report(counted.messages !== replies, `${counted.messages} messages are counted for ${period}, and ${replies} are in the ledger`)
  }
}

/** Turns and changes are numbered by one counter, and every change is archived once. */
function checkOrder (session: StoredSession, messages: StoredMessage[], changes: Document[], { live }: LedgerOptions, report: Report): void {
  const turns = [...new Set(messages.map(({ rev }) => rev))]
  report(messages.some(({ rev }, i) => i > 0 && rev < messages[i - 1]!.rev), 'what was said later is numbered lower')
  report(turns.some((rev) => changes.some((change) => change['rev'] === rev)), 'a turn and a change have the same number')
  report(!live && [...turns, ...changes.map((change) => change['rev'] as number)].some((rev) => rev > session.rev), 'it has counted less than there is')
  report(!live && Array.isArray(session['log']) && session['log'].length > 0, 'a change is not settled')
}

/** Everything that is wrong with the conversations in a database, in words; an empty list: nothing. */
export async function checkLedger (uri: string, database: string, options: LedgerOptions = {}): Promise<string[]> {
  const client = await MongoClient.connect(uri, { serverSelectionTimeoutMS: 5000 })
  try {
    const db = client.db(database)
    // Messages first: one that is written meanwhile may be missing here, but none is without its session.
    const messages = await db.collection<StoredMessage>('messages').find().sort({ sessionId: 1, seq: 1 }).toArray()
    const changes = await db.collection('changes').find().toArray()
    const sessions = await db.collection<StoredSession>('sessions').find().toArray()
    const events = await db.collection<StoredEvent>('usageEvents').find().toArray()
    const counters = await db.collection<StoredCounter>('quotaCounters').find().toArray()
    return violationsOf({ sessions, messages, changes, events, counters }, options)
  } finally {
    await client.close()
  }
}

function violationsOf ({ sessions, messages, changes, events, counters }: Kept, options: LedgerOptions): string[] {
  const violations: string[] = []
  const reportOn = (subject: string): Report => (broken, rule) => { if (broken) violations.push(`${subject}: ${rule}`) }
  const bySource = Map.groupBy(events, ({ source }) => source)
  if (options.recorded) for (const counter of counters) checkCounter(counter, events, reportOn(`counter ${counter._id}`))
  const bySession = Map.groupBy(messages, ({ sessionId }) => hex(sessionId))
  for (const session of sessions) {
    const id = hex(session._id)
    const own = (bySession.get(id) ?? []).filter(({ seq }) => seq > (session.clearedSeq ?? 0))
    bySession.delete(id)
    // Deleted ones may be half purged.
    if (session.status === 'deleted') continue
    checkSession(session, own, options, reportOn(`session ${id}`))
    checkLines(session, own, options, reportOn(`session ${id}`))
    checkOrder(session, own, changes.filter(({ sessionId }) => session._id.equals(sessionId as ObjectId)), options, reportOn(`session ${id}`))
    const byId = new Map(own.map((message) => [hex(message._id), message]))
    for (const message of own) {
      const report = reportOn(`message ${hex(message._id)}`)
      checkMessage(message, report)
      checkUsage(message, bySource.get(hex(message._id)) ?? [], options, report)
      if (message.role === 'bot') checkReply(message, byId, report)
      const replies = own.filter(({ replyTo, status }) => status !== 'deleted' && replyTo?.equals(message._id))
      for (const line of Map.groupBy(replies, ({ branchId }) => hex(branchId)).values()) checkReplies(line, options, report)
    }
  }
  for (const id of bySession.keys()) violations.push(`session ${id}: it is gone and its messages are not`)
  return violations
}

if (import.meta.main) {
  const [uri, database] = process.argv.slice(2)
  if (uri === undefined || database === undefined) {
    process.stderr.write('node test/ledger.ts <uri> <database>\n')
    process.exit(2)
  }
  const violations = await checkLedger(uri, database)
  for (const violation of violations) process.stdout.write(`${violation}\n`)
  process.exitCode = violations.length === 0 ? 0 : 1
}
