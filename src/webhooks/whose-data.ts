/** Who and what an event tells of, so that it goes with them. */
export interface Whose {
  readonly sessionId: string | null
  readonly messageId: string | null
  readonly userId: string | null
}

interface Told {
  readonly sessionId?: string | null
  readonly userId?: string | null
  readonly message?: { readonly id: string }
  readonly session?: { readonly id: string, readonly userId: string | null }
}

/** Reads it from the data of an event, of whichever kind. */
export function whoseData (data: object): Whose {
  const { sessionId, userId, message, session } = data as Told
  return { sessionId: sessionId ?? session?.id ?? null, messageId: message?.id ?? null, userId: userId ?? session?.userId ?? null }
}
