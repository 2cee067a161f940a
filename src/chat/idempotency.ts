import { createHash } from 'node:crypto'
import { type MessageInput } from '../../schemas/message.ts'
import { ApiError } from '../errors.ts'
import { type Message, type MessageRepository } from '../store/messages.ts'

/** What a key is bound to: a send with the same key must have the same hash. */
export function requestHash ({ message, metadata }: MessageInput): string {
  return createHash('sha256').update(JSON.stringify([message, metadata ?? null])).digest('base64url')
}

/** An earlier send with the same key. `reply` is absent where its turn never got as far as a bot message. */
export interface EarlierSend {
  readonly userMessage: Message
  readonly reply: Message | undefined
}

/** Finds what a key stands for in a session. Throws `idempotency_conflict` where it came with another body. */
export async function findEarlierSend (
  messages: MessageRepository, sessionId: string, key: string, hash: string
): Promise<EarlierSend | undefined> {
  const userMessage = await messages.findByKey(sessionId, key)
  if (!userMessage) return undefined
  if (userMessage.requestHash !== hash) {
    throw new ApiError('idempotency_conflict', { detail: 'This Idempotency-Key was used with another message in this session.' })
  }
  return { userMessage, reply: await messages.latestReply(userMessage) }
}

/** Whether the same key is to run again: its turn ended without a reply that counts. */
export function mayRunAgain ({ reply }: EarlierSend): boolean {
  return reply === undefined || reply.status === 'failed' || reply.status === 'interrupted'
}
