import { type ChangeRepository, type LogEntry } from '../store/changes.ts'
import { type Message } from '../store/message.ts'
import { type MessageRepository } from '../store/messages.ts'
import { type SessionRepository } from '../store/sessions.ts'
import { type BegunTurn } from './feed-event.ts'
import { type SessionPosition } from './session-position.ts'

// The texts of so many messages are held for a reader at most. More than two turns have.
const MESSAGES = 20
const CHANGES = 100

export interface Repositories {
  readonly sessions: SessionRepository
  readonly messages: MessageRepository
  readonly changes: ChangeRepository
}

/** Something that has its own number in a session: a turn, by its beginning, or a change. */
export type Happening =
  | { readonly rev: number, readonly turn: BegunTurn & { readonly seq: number } }
  | { readonly rev: number, readonly change: LogEntry }

/** A stretch of what has happened in a session, in order and without a gap. */
export interface Reading {
  readonly happenings: readonly Happening[]
  /** The turn that was held then. */
  readonly heldRev: number | undefined
  /** Messages up to this `seq` are gone. */
  readonly clearedSeq: number
  /** The session is deleted. */
  readonly isGone: boolean
  /** There is more to be read behind these. */
  readonly hasMore: boolean
  /** There will be more in a moment, without a sign: messages of a turn are on their way. */
  readonly isAwaiting: boolean
}

/** Messages by the turn that they began with. */
function turnsIn (messages: readonly Message[]): Array<Extract<Happening, { turn: object }>> {
  return [...Map.groupBy(messages, ({ rev }) => rev).entries()].map(([rev, group]) => {
    const [userMessage, botMessage] = ['user', 'bot'].map((role) => group.find((message) => message.role === role))
    return { rev, turn: { seq: group.at(-1)!.seq, userMessage, botMessage } }
  })
}

/**
 * What has happened in a session after a position. The session is read first: it knows all numbers that were given, so of
 * what has a number up to then, nothing can turn up later, except the messages of the turn that it still holds.
 */
export async function readOn (
  { sessions, messages, changes }: Repositories, sessionId: string, { rev, seq }: SessionPosition
): Promise<Reading> {
  const session = await sessions.inspect(sessionId)
  const archived = await changes.after(sessionId, rev, CHANGES)
  if (!session) {
    const happenings = archived.map(asHappening)
    return { happenings, heldRev: undefined, clearedSeq: Infinity, isGone: true, hasMore: false, isAwaiting: false }
  }
  const written = await messages.after(sessionId, Math.max(seq, session.clearedSeq), MESSAGES)

  const turns = turnsIn(written)
  const isCut = written.length === MESSAGES
  // Of the last one, the reply may be missing here.
  if (isCut && !turns.at(-1)!.turn.botMessage) turns.pop()
  const { turn } = session
  const isHeldBack = turn !== null && turn.seq > seq &&
    !turns.some((begun) => begun.rev === turn.rev && begun.turn.botMessage)
  const through = Math.min(
    session.rev,
    archived.length === CHANGES ? archived.at(-1)!.rev : Infinity,
    isCut ? turns.at(-1)!.rev : Infinity,
    isHeldBack ? turn.rev - 1 : Infinity
  )
  // What is archived comes last: of the two, it has been erased.
  const entries = new Map([...session.log, ...archived].map((entry) => [entry.rev, entry]))
  const changed = [...entries.values()].filter((entry) => entry.rev > rev).map(asHappening)
  const happenings = [...turns, ...changed].filter((happening) => happening.rev <= through)
  return {
    happenings: happenings.sort((a, b) => a.rev - b.rev),
    heldRev: turn?.rev,
    clearedSeq: session.clearedSeq,
    isGone: session.status === 'deleted',
    hasMore: (isCut || archived.length === CHANGES) && happenings.length > 0,
    isAwaiting: isHeldBack || turns.some((begun) => begun.rev > session.rev)
  }
}

function asHappening (change: LogEntry): Happening {
  return { rev: change.rev, change }
}
