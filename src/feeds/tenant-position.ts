import { foreignCursor } from './foreign-cursor.ts'

/** The place of an event in the order of all that happens for a tenant. */
export interface TenantPosition {
  /** Milliseconds by the store's clock. */
  readonly time: number
  readonly sessionId: string
  readonly rev: number
  /** 0: a beginning, 1: a change, 2: an end. */
  readonly kind: number
}

/** Behind all that happened up to a time, and before all that comes. */
export function behind (time: number): TenantPosition {
  return { time: time + 1, sessionId: '', rev: 0, kind: 0 }
}

/** Negative: `a` comes before `b`; 0: they are the same place. */
export function compare (a: TenantPosition, b: TenantPosition): number {
  const bySession = a.sessionId < b.sessionId ? -1 : Number(a.sessionId > b.sessionId)
  return a.time - b.time || bySession || a.rev - b.rev || a.kind - b.kind
}

/** A position as clients keep it. */
export function cursorAt ({ time, sessionId, rev, kind }: TenantPosition): string {
  return Buffer.from(`${time}:${sessionId}:${rev}:${kind}`).toString('base64url')
}

/** The position that a client has kept. Throws `validation_failed`. */
export function positionAt (cursor: string): TenantPosition {
  // Thirteen digits of milliseconds reach the year 2286; a server may not know dates much beyond.
  const [, time, sessionId = '', rev, kind] =
    /^(\d{1,13}):([0-9a-f]{24})?:(\d{1,15}):([0-2])$/.exec(Buffer.from(cursor, 'base64url').toString('latin1')) ?? []
  if (time === undefined) throw foreignCursor()
  return { time: Number(time), sessionId, rev: Number(rev), kind: Number(kind) }
}
