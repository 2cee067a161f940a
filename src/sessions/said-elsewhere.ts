import { type Message } from '../store/message.ts'

/** A message of a conversation that took place elsewhere. */
export type SaidElsewhere = Pick<Message, 'id' | 'role' | 'content' | 'timestamp'> & Partial<Pick<Message, 'status' | 'metadata'>>

/** Where it is to be. */
export type NewPlace = Pick<Message, 'tenantId' | 'configId' | 'userId' | 'channel'> & { readonly id: string }

/** Messages of a conversation, the oldest first, as the first ones of a session. A reply begins with what it answers. */
export function asFirstOf ({ id: sessionId, tenantId, configId, userId, channel }: NewPlace, said: readonly SaidElsewhere[]): Message[] {
  const messages: Message[] = []
  let rev = 0
  let answered: string | undefined
  for (const { id, role, content, timestamp, status = 'completed', metadata } of said) {
    const last = messages.at(-1)
    if (role === 'user') answered = id
    if (role === 'user' || last?.role !== 'user') rev++
    messages.push({
      id,
      tenantId,
      configId,
      sessionId,
      userId,
      channel,
      seq: messages.length + 1,
      rev,
      parentId: last?.id ?? null,
      branchId: null,
      role,
      content,
      timestamp,
      status,
      ...(role === 'bot' && { endedAt: timestamp, ...(answered !== undefined && { replyTo: answered }) }),
      ...(metadata && { metadata })
    })
  }
  return messages
}

/** What a session goes on with behind its first messages. */
export function behind (messages: readonly Message[]): { nextSeq: number, rev: number, tipId: string | null } {
  const last = messages.at(-1)
  return { nextSeq: messages.length + 1, rev: last?.rev ?? 0, tipId: last?.id ?? null }
}
