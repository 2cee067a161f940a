import { ApiError } from '../errors.ts'
import { type Message } from '../store/message.ts'
import { type MessageRepository } from '../store/messages.ts'
import { type Session } from '../store/sessions.ts'

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

const gone = () => new ApiError('conflict', { detail: 'What was sent with this Idempotency-Key has been deleted.' })

/** Finds what a key stands for in a session. Throws `idempotency_conflict` where it came with another body. */
export async function findEarlierSend (
  messages: MessageRepository, { id, clearedSeq }: Pick<Session, 'id' | 'clearedSeq'>, { idempotencyKey, requestHash }: SendKey
): Promise<EarlierSend | undefined> {
  const bearer = await messages.findByKey(id, idempotencyKey)
  if (!bearer) return undefined
  if (bearer.status === 'deleted' || bearer.seq <= clearedSeq) {
    throw gone()
  }
  if (bearer.requestHash !== requestHash) {
    throw new ApiError('idempotency_conflict', { detail: 'This Idempotency-Key was used with another request in this session.' })
  }
  if (bearer.role === 'user') return { userMessage: bearer, reply: await messages.latestReply(bearer) }
  // Of what replies anew, the reply bears the key. What it replies to may be too old to be kept.
  const userMessage = bearer.replyTo === undefined ? undefined : await messages.find(id, bearer.replyTo)
  if (!userMessage || userMessage.seq <= clearedSeq) throw gone()
  return { userMessage, reply: bearer }
}

/** The reply that a key stands for. Undefined: its turn ended without one that counts, so the key is to run again. */
export function replyThatCounts ({ reply }: EarlierSend): Message | undefined {
  return reply?.status === 'failed' || reply?.status === 'interrupted' ? undefined : reply
}
