import { EventData, all } from './event-stream.ts'
import { begunReply, botMessage, botMessageId, userMessage } from './examples.ts'
import { Message } from './message.ts'
import { Problem } from './problem.ts'
import { Id } from './text.ts'
import { Ref, Type, type Static } from './type.ts'

/** `data` of `message.started`. */
export const MessageStarted = Type.Object({
  userMessage: Ref(Message),
  botMessage: Ref(Message)
}, { $id: 'MessageStarted', description: '`data` of the event `message.started`: the turn has begun.', examples: [{ userMessage, botMessage: begunReply }] })

/** `data` of `message.delta`. */
export const MessageDelta = Type.Object({
  messageId: Id,
  seq: Type.Integer({ minimum: 1, description: 'The place of the message in the session.' }),
  offset: Type.Integer({ minimum: 0, description: 'UTF-16 code units of the message before `delta`.' }),
  delta: Type.String({ description: 'The next piece of the text.' })
}, {
  $id: 'MessageDelta',
  description: '`data` of the event `message.delta`. The event\'s `id` is `<seq>:<offset after the delta>`.',
  examples: [{ messageId: botMessageId, seq: 2, offset: 0, delta: 'Orders ship' }]
})
export type MessageDelta = Static<typeof MessageDelta>

/** `data` of the events that end a message. */
export const MessageEnded = Type.Object({
  botMessage: Ref(Message),
  problem: Type.Optional(Ref(Problem))
}, {
  $id: 'MessageEnded',
  description: '`data` of the events `message.completed`, `message.stopped`, `message.failed`, `message.interrupted` and, where the ' +
    'text has been erased, `message.deleted`: each is the last of its message.',
  examples: [{ botMessage }]
})
export type MessageEnded = Static<typeof MessageEnded>

/** The events that end a message. */
export const ends = ['message.completed', 'message.stopped', 'message.failed', 'message.interrupted'] as const

/** What an event stream of one message carries. */
export const MessageEvent = EventData('MessageEvent', {
  'message.started': MessageStarted, 'message.delta': MessageDelta, ...all([...ends, 'message.deleted'], MessageEnded)
}, 'One of the last five ends the stream. `stream.reconnect` (data `{}`) asks you to come back with `Last-Event-ID`: the server is going away. A ' +
  'comment line every 15 s keeps the connection open.')
