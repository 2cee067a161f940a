import { type MessageDelta } from '../../schemas/message-event.ts'
import { ApiError } from '../errors.ts'
import { type Occurrence, problemOf } from '../problem.ts'
import { type Message } from '../store/messages.ts'
import { type FollowedMessage } from './followed-message.ts'
import { presentMessage } from './present.ts'

function frame (event: string, data: object, id?: string): string {
  return `event: ${event}\n${id === undefined ? '' : `id: ${id}\n`}data: ${JSON.stringify(data)}\n\n`
}

export const heartbeat = ': keep-alive\n\n'

/** Asks the reader to come back with `Last-Event-ID`: this server is going away. */
export const reconnect = frame('stream.reconnect', {})

/** The turn as it began, also to a reader who comes when it is over: the text itself follows as deltas. */
export function started (userMessage: Message, { botMessage }: FollowedMessage): string {
  const { usage: _u, model: _m, finishReason: _f, error: _e, ...begun } = botMessage
  const data = {
    userMessage: presentMessage(userMessage),
    botMessage: presentMessage({ ...begun, status: 'streaming', content: '' })
  }
  return frame('message.started', data, `${botMessage.seq}:0`)
}

export function delta ({ botMessage: { id, seq }, text }: FollowedMessage, offset: number): string {
  const data: MessageDelta = { messageId: id, seq, offset, delta: text.slice(offset) }
  return frame('message.delta', data, `${seq}:${text.length}`)
}

/** The last event of a message that has ended, or that cannot be followed any further. */
export function ended (followed: FollowedMessage, occurrence: Occurrence): string {
  const { botMessage, failure } = followed
  if (failure !== undefined) {
    const error = failure instanceof ApiError ? failure : new ApiError('store_unavailable', { cause: failure })
    const failed = { ...botMessage, status: 'failed', content: followed.text } as const
    return frame('message.failed', { botMessage: presentMessage(failed), problem: problemOf(error, occurrence) })
  }
  const { status, error, content, seq } = botMessage
  const problem = error && problemOf(new ApiError(error.code, { detail: error.detail }), occurrence)
  return frame(`message.${status}`, { botMessage: presentMessage(botMessage), ...(problem && { problem }) }, `${seq}:${content.length}`)
}

/** The offset that a `Last-Event-ID` of a message names; undefined where it is not one of this message. */
export function offsetIn (lastEventId: string, { botMessage: { seq } }: FollowedMessage): number | undefined {
  const [, eventSeq, offset] = /^(\d{1,15}):(\d{1,15})$/.exec(lastEventId) ?? []
  return Number(eventSeq) === seq ? Number(offset) : undefined
}
