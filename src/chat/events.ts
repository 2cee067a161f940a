import { type MessageDelta, type MessageEnded } from '../../schemas/message-event.ts'
import { type Message as MessageView } from '../../schemas/message.ts'
import { ApiError } from '../errors.ts'
import { type Occurrence, problemOf } from '../problem.ts'
import { type Message } from '../store/message.ts'
import { type FollowedMessage } from './followed-message.ts'
import { presentMessage } from './present.ts'

/** A server-sent event. */
export function frame (event: string, data: object, id?: string): string {
  return `event: ${event}\n${id === undefined ? '' : `id: ${id}\n`}data: ${JSON.stringify(data)}\n\n`
}

export const heartbeat = ': keep-alive\n\n'

/** Asks the reader to come back with `Last-Event-ID`: this server is going away. */
export const reconnect = frame('stream.reconnect', {})

/** A bot message as it began, also to a reader who comes when it is over: its text follows as deltas. */
export function begun (botMessage: Message): MessageView {
  const { configVersion: _c, usage: _u, model: _m, fallback: _b, finishReason: _r, error: _e, feedback: _f, ...rest } = botMessage
  return presentMessage({ ...rest, status: 'streaming', content: '' })
}

export function started (userMessage: Message, { botMessage }: FollowedMessage): string {
  return frame('message.started', { userMessage: presentMessage(userMessage), botMessage: begun(botMessage) }, `${botMessage.seq}:0`)
}

/** The text of a message from `offset` on. */
export function restOf ({ botMessage: { id, seq }, text }: FollowedMessage, offset: number): MessageDelta {
  return { messageId: id, seq, offset, delta: text.slice(offset) }
}

export function delta (followed: FollowedMessage, offset: number): string {
  return frame('message.delta', restOf(followed, offset), `${followed.botMessage.seq}:${followed.text.length}`)
}

/** A message that has ended, and the problem that it has ended with. */
export function ending (botMessage: Message, occurrence: Occurrence): MessageEnded {
  const { error } = botMessage
  const problem = error && problemOf(new ApiError(error.code, { detail: error.detail }), occurrence)
  return { botMessage: presentMessage(botMessage), ...(problem && { problem }) }
}

/** The last event of a message that has ended, or that cannot be followed any further. */
export function ended (followed: FollowedMessage, occurrence: Occurrence): string {
  const { botMessage, failure } = followed
  if (failure !== undefined) {
    const error = failure instanceof ApiError ? failure : new ApiError('store_unavailable', { cause: failure })
    const failed = { ...botMessage, status: 'failed', content: followed.text } as const
    return frame('message.failed', { botMessage: presentMessage(failed), problem: problemOf(error, occurrence) })
  }
  const { status, content, seq } = botMessage
  return frame(`message.${status}`, ending(botMessage, occurrence), `${seq}:${content.length}`)
}

/** The offset that a `Last-Event-ID` of a message names; undefined where it is not one of this message. */
export function offsetIn (lastEventId: string, { botMessage: { seq } }: FollowedMessage): number | undefined {
  const [, eventSeq, offset] = /^(\d{1,15}):(\d{1,15})$/.exec(lastEventId) ?? []
  return Number(eventSeq) === seq ? Number(offset) : undefined
}
