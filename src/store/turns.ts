import { type Collection, type Db, type Document } from 'mongodb'
import { type BranchStart } from './branches.ts'
import { FoundTogether } from './found-together.ts'
import { type GroupCommit } from './group-commit.ts'
import { parseId } from './ids.ts'
import { type StoreClock } from './store-clock.ts'
import { present, type Session, type SessionDocument, type SessionScope, toSession, type Turn } from './sessions.ts'

// How many may wait for one session; the contract names it.
const MAX_WAITING = 32

export interface TurnWish {
  readonly sessionId: string
  /** The bot message that is to be written. */
  readonly messageId: string
  readonly idempotencyKey: string | null
  /** How many messages are to be written, that one being the last. */
  readonly numbers: 1 | 2
  /** The line that they begin. Absent: they go on with the one that is spoken on. */
  readonly branch?: BranchStart
  /** Where to wait while it is not our turn: before or behind the others. Absent: nowhere. */
  readonly ticket?: { readonly id: string, readonly place: 'front' | 'back' }
}

// As numbers, because SecantusDB 0.7 finds no order between `$$NOW` and a stored date.
const NOW = { $toLong: '$$NOW' }
const isPast = (date: string) => ({ $lt: [{ $toLong: date }, NOW] })

const soon = (leaseMs: number) => ({ $add: ['$$NOW', leaseMs] })

const nextRev = { $add: [{ $ifNull: ['$rev', 0] }, 1] }
const idOf = (id: string | null) => id === null ? null : parseId(id)!

/** What a session becomes with the turn that is wished for, by field. */
function taken ({ messageId, idempotencyKey, numbers, branch }: TurnWish, leaseMs: number) {
  const id = parseId(messageId)!
  return {
    turn: {
      messageId: id,
      seq: { $add: ['$nextSeq', numbers - 1] },
      rev: nextRev,
      parentId: branch ? idOf(branch.parentId) : { $ifNull: ['$tipId', null] },
      leaseUntil: soon(leaseMs),
      idempotencyKey: { $literal: idempotencyKey },
      lapsed: false
    },
    nextSeq: { $add: ['$nextSeq', numbers] },
    rev: nextRev,
    tipId: id,
    unindexed: true,
    lastActivity: '$$NOW',
    ...(branch && begun(branch))
  }
}

/** The line that a turn begins. */
function begun ({ id, from, parentId, parentSeq }: BranchStart) {
  const branchId = parseId(id)!
  const branch = {
    id: branchId,
    from: idOf(from),
    parentId: idOf(parentId),
    parentSeq,
    startSeq: '$nextSeq',
    left: { $ifNull: ['$branchId', null] },
    createdAt: '$$NOW'
  }
  return { branchId, branches: { $concatArrays: [{ $ifNull: ['$branches', []] }, [branch]] } }
}

/** The update that takes a turn which is free, with nobody waiting for it. */
function takeFree (wish: TurnWish, leaseMs: number): Document[] {
  return [{ $set: taken(wish, leaseMs) }]
}

/** A field's own value: not every session has every field. */
const asItIs = (name: string) => ({ $ifNull: [`$${name}`, name === 'branches' ? [] : null] })

/** The update that takes the turn, where it is free and ours, and the place in line otherwise. */
function takeOrWait (wish: TurnWish, leaseMs: number): Document[] {
  const { ticket } = wish
  const { turn, ...rest } = taken(wish, leaseMs)
  const ours = ticket === undefined ? null : parseId(ticket.id)!
  const until = soon(leaseMs)
  const isOurs = { $eq: ['$$this.id', ours] }
  const isNotOurs = { $ne: ['$$this.id', ours] }
  const isTaken = { $eq: ['$turn.messageId', turn.messageId] }
  const isNext = { $let: { vars: { first: { $arrayElemAt: ['$tickets', 0] } }, in: { $eq: [{ $ifNull: ['$$first.id', ours] }, ours] } } }
  const isWaiting = { $ne: [{ $size: { $filter: { input: '$tickets', cond: isOurs } } }, 0] }
  const mayWait = { $and: [{ $eq: ['$status', 'active'] }, { $lt: [{ $size: '$tickets' }, MAX_WAITING] }] }
  const fresh = [{ id: ours, until }]
  const joined = { $concatArrays: ticket?.place === 'front' ? [fresh, '$tickets'] : ['$tickets', fresh] }
  const renewed = { $map: { input: '$tickets', in: { $cond: [isOurs, { id: ours, until }, '$$this'] } } }
  return [
    // Those who wait renew their tickets; who does not is gone.
    { $set: { tickets: { $filter: { input: { $ifNull: ['$tickets', []] }, cond: { $or: [isOurs, { $not: [isPast('$$this.until')] }] } } } } },
    {
      $set: {
        turn: {
          $cond: [
            { $ne: ['$turn', null] },
            { $mergeObjects: ['$turn', { lapsed: isPast('$turn.leaseUntil') }] },
            { $cond: [{ $and: [{ $eq: ['$status', 'active'] }, isNext] }, turn, null] }
          ]
        }
      }
    },
    {
      $set: {
        ...Object.fromEntries(Object.entries(rest).map(([name, value]) => [name, { $cond: [isTaken, value, asItIs(name)] }])),
        tickets: {
          $cond: [
            isTaken,
            { $filter: { input: '$tickets', cond: isNotOurs } },
            ours === null ? '$tickets' : { $cond: [isWaiting, renewed, { $cond: [mayWait, joined, '$tickets'] }] }
          ]
        }
      }
    }
  ]
}

/** What a session goes on with after a turn without all of its messages. Nobody else changes it while the turn is held. */
export type Restored = Pick<Session, 'nextSeq' | 'tipId' | 'branchId'> & {
  /** The line that has never been. */
  readonly dropped?: string
}

function restored ({ nextSeq, tipId, branchId }: Restored) {
  return { nextSeq, tipId: idOf(tipId), branchId: idOf(branchId) }
}

/** Whose turn it is in a session, and who waits for it: kept in the session itself, judged by the store's clock. */
export class TurnRepository {
  readonly #collection: Collection<SessionDocument>
  readonly #found: FoundTogether<SessionDocument>
  readonly #commits: GroupCommit
  readonly #clock: StoreClock

  constructor (db: Db, commits: GroupCommit, clock: StoreClock) {
    this.#collection = db.collection('sessions')
    this.#found = new FoundTogether(this.#collection)
    this.#commits = commits
    this.#clock = clock
  }

  /**
   * Takes the turn of an active session and the numbers of its messages, all in one write, where it is free and nobody
   * waits before us. Else, with a second write, puts our ticket in line or renews it, for `leaseMs`, too; where the line is full, or the session
   * has ended, there is none in what comes back. Marks a turn as lapsed whose lease has run out. Undefined: no such session.
   */
  async take (scope: SessionScope, wish: TurnWish, leaseMs: number): Promise<Session | undefined> {
    const _id = parseId(wish.sessionId)
    if (!_id) return undefined
    // Nearly every turn is free and wished for by one alone, and the update that knows of others costs a store much more.
    const free = { _id, ...scope, status: 'active', turn: null, 'tickets.0': { $exists: false } } as const
    const update = takeFree(wish, leaseMs)
    const takenAtOnce = await this.#commits.do({
      writes: [{ name: 'updateOne', namespace: this.#collection.namespace, filter: free, update }],
      alone: async () => await this.#collection.findOneAndUpdate(free, update, { returnDocument: 'after' }),
      together: async ([matched]) => matched === 1 ? await this.#found.find(_id) : undefined
    })
    if (takenAtOnce) this.#clock.tell(takenAtOnce.lastActivity)
    const document = takenAtOnce ??
      await this.#collection.findOneAndUpdate(
        { _id, ...scope, status: present }, takeOrWait(wish, leaseMs), { returnDocument: 'after' }
      )
    return document ? toSession(document) : undefined
  }

  /** Holds on to a turn. False: it is no longer ours. */
  async renew (id: string, messageId: string, leaseMs: number): Promise<boolean> {
    const filter = { _id: parseId(id)!, status: present, 'turn.messageId': parseId(messageId)!, 'turn.lapsed': false }
    const update = [{ $set: { 'turn.leaseUntil': soon(leaseMs) } }]
    return await this.#commits.do({
      writes: [{ name: 'updateOne', namespace: this.#collection.namespace, filter, update }],
      alone: async () => (await this.#collection.updateOne(filter, update)).matchedCount === 1,
      together: ([matched]) => matched === 1
    })
  }

  /** Holds on to a turn and has it begin now. Undefined: it is no longer ours. */
  async refresh (id: string, messageId: string, leaseMs: number): Promise<Session | undefined> {
    const document = await this.#collection.findOneAndUpdate(
      { _id: parseId(id)!, status: present, 'turn.messageId': parseId(messageId)!, 'turn.lapsed': false },
      [{ $set: { lastActivity: '$$NOW', 'turn.leaseUntil': soon(leaseMs) } }],
      { returnDocument: 'after' }
    )
    return document ? toSession(document) : undefined
  }

  /** Ends a turn; answers the ticket whose turn it is now, if any. `restore`: where not all that was taken was used. */
  async release (id: string, messageId: string, restore?: Restored): Promise<string | undefined> {
    const filter = { _id: parseId(id)!, 'turn.messageId': parseId(messageId)! }
    const alone = async () => {
      const document = await this.#collection.findOneAndUpdate(
        filter,
        {
          $set: { turn: null, ...(restore && restored(restore)) },
          ...(restore?.dropped !== undefined && { $pull: { branches: { id: parseId(restore.dropped)! } } })
        },
        { returnDocument: 'after', projection: { tickets: 1 } }
      )
      return document?.tickets?.[0]?.id.toHexString()
    }
    if (restore) return await alone()
    // Where nobody waits there is nothing to be read.
    const unlessAwaited = { ...filter, 'tickets.0': { $exists: false } }
    return await this.#commits.do({
      writes: [{ name: 'updateOne', namespace: this.#collection.namespace, filter: unlessAwaited, update: { $set: { turn: null } } }],
      alone,
      together: async ([matched]) => matched === 1 ? undefined : await alone()
    })
  }

  /** Leaves the line; answers the ticket whose turn it is now, if any. */
  async leave (id: string, ticket: string): Promise<string | undefined> {
    const document = await this.#collection.findOneAndUpdate(
      { _id: parseId(id)!, 'tickets.id': parseId(ticket)! },
      { $pull: { tickets: { id: parseId(ticket)! } } },
      { returnDocument: 'after', projection: { turn: 1, tickets: 1 } }
    )
    return document?.turn === null ? document.tickets?.[0]?.id.toHexString() : undefined
  }

  /**
   * The session with its turn, which is marked as lapsed in the same write where its lease has run out: the store's clock
   * decides, and from then on the former holder cannot renew it. Sees deleted sessions, too. Undefined: there is no turn.
   */
  async check (id: string): Promise<Session & { turn: Turn } | undefined> {
    const document = await this.#collection.findOneAndUpdate(
      { _id: parseId(id)!, turn: { $ne: null } },
      [{ $set: { 'turn.lapsed': isPast('$turn.leaseUntil') } }],
      { returnDocument: 'after' }
    )
    const session = document ? toSession(document) : undefined
    return session?.turn ? { ...session, turn: session.turn } : undefined
  }
}
