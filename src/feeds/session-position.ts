import { type Message } from '../store/message.ts'
import { type Session } from '../store/sessions.ts'
import { foreignCursor } from './foreign-cursor.ts'

/** How far a reader has been told what happens in a session. */
export interface SessionPosition {
  /** All changes up to this number were told. */
  readonly rev: number
  /** The last reply that was told of, or the last message, where it has none. */
  readonly seq: number
  /** How much of its text was told, in UTF-16 code units; null: all of it, and its end. */
  readonly offset: number | null
}

/** How many of a session's newest messages `presentPosition` needs: one more than two turns may have. */
export const NEWEST = 5

/**
 * The position of a reader who wants what comes: at the newest change, and before a reply that has not ended. `newest`:
 * the last messages, read before the session, the last one first.
 */
export function presentPosition ({ rev, turn }: Session, newest: readonly Message[]): SessionPosition {
  const unended = newest.filter(({ status }) => status === 'streaming').map((message) => message.rev)
  const from = Math.min(turn?.rev ?? Infinity, ...unended)
  return { rev, seq: newest.find((message) => message.rev < from)?.seq ?? 0, offset: null }
}

/** A position as clients keep it. */
export function cursorOf (sessionId: string, { rev, seq, offset }: SessionPosition): string {
  return `${sessionId}:${rev}:${seq}:${offset ?? 'end'}`
}

/** The position that a client has kept. Throws `validation_failed`. */
export function positionIn (cursor: string, { id, rev: newest, clearedSeq }: Session): SessionPosition {
  const [, session, rev, seq, offset] = /^([0-9a-f]{24}):(\d{1,15}):(\d{1,15}):(\d{1,15}|end)$/.exec(cursor) ?? []
  if (session !== id || Number(rev) > newest) throw foreignCursor()
  const isOver = offset === 'end' || Number(seq) <= clearedSeq
  return { rev: Number(rev), seq: Number(seq), offset: isOver ? null : Number(offset) }
}
