import { createHash } from 'node:crypto'
import { type MessageInput } from '../../schemas/message.ts'
import { ApiError } from '../errors.ts'
import { type Message, type MessageRepository } from '../store/messages.ts'

/** What a key is bound to: a send with the same key must have the same hash. */
export function requestHash ({ message, metadata }: MessageInput): string {
  return createHash('sha256').update(JSON.stringify([message, metadata ?? null])).digest('base64url')
}

/** The key of a send and the hash of what it says. */
export interface SendKey {
  readonly idempotencyKey: string
  readonly requestHash: string
}

/** An earlier send with the same key. `reply` is absent where its turn never got as far as a bot message. */
export interface EarlierSend {
  readonly userMessage: Message
  readonly reply: Message | undefined
}

/** Finds what a key stands for in a session. Throws `idempotency_conflict` where it came with another body. */
export async function findEarlierSend (
  messages: MessageRepository, sessionId: string, { idempotencyKey, requestHash }: SendKey
): Promise<EarlierSend | undefined> {
  const userMessage = await messages.findByKey(sessionId, idempotencyKey)
  if (!userMessage) return undefined
  if (userMessage.requestHash !== requestHash) {
    throw new ApiError('idempotency_conflict', { detail: 'This Idempotency-Key was used with another message in this session.' })
  }
  return { userMessage, reply: await messages.latestReply(userMessage) }
}

/** The reply that a key stands for. Undefined: its turn ended without one that counts, so the key is to run again. */
export function replyThatCounts ({ reply }: EarlierSend): Message | undefined {
  return reply?.status === 'failed' || reply?.status === 'interrupted' ? undefined : reply
}
