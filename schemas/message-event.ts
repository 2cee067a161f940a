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

/** What an event stream of one message carries; the `event` field says which. `stream.reconnect` has the data `{}`. */
export const MessageEvent = Type.Union([Ref(MessageStarted), Ref(MessageDelta), Ref(MessageEnded)], {
  $id: 'MessageEvent',
  description: 'The `data` of one server-sent event. `event` names it: `message.started`, `message.delta`, then one of ' +
    '`message.completed`, `message.stopped`, `message.failed`, `message.interrupted`, `message.deleted`. `stream.reconnect` (data ' +
    '`{}`) asks you to come back with `Last-Event-ID`: the server is going away. A comment line every 15 s keeps the connection open.',
  examples: [...MessageStarted.examples as unknown[], ...MessageDelta.examples as unknown[], ...MessageEnded.examples as unknown[]]
})
