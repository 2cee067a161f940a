import { ErrorCode } from './error-code.ts'
import { begunReply, botMessage, configId, feedback, userMessage } from './examples.ts'
import { Feedback } from './feedback.ts'
import { IdempotencyKey } from './idempotency.ts'
import { Page } from './page.ts'
import { Id, Metadata, NonBlankText, StoredMetadata, Timestamp } from './text.ts'
import { OneOf, OpenWord, OrNull, Ref, Type, closed, type Static } from './type.ts'

const tokens = (description: string) => Type.Integer({ minimum: 0, description })

/** What a model was given and has written. */
export const Usage = Type.Object({
  promptTokens: tokens('Tokens of the prompt, cached ones included.'),
  completionTokens: tokens('Tokens of the reply.'),
  totalTokens: tokens('The sum of both.'),
  cachedTokens: Type.Optional(tokens('Prompt tokens that the model had in its cache.')),
  costUsd: Type.Optional(Type.Number({ minimum: 0, description: 'List price in US dollars. Absent: the price is not known.' })),
  estimated: Type.Optional(Type.Boolean({ description: 'True: counted by this server, because the model did not say.' }))
}, { description: 'What a model was given and has written.' })

export const Message = Type.Object({
  id: Id,
  sessionId: Id,
  seq: Type.Integer({ minimum: 1, description: 'The place in the session: 1, 2, 3, …' }),
  parentId: Type.Union([Type.String(), Type.Null()], { description: 'The message before it on its branch; null: it is the first.' }),
  branchId: Type.String({ description: 'The branch that it was said on; the first branch of a session has the id of the session.' }),
  editOf: Type.Optional(Type.String({ description: 'Of a user message: the earlier one that it was said instead of.' })),
  role: OpenWord(['user', 'bot'], { description: '`user` or `bot`.' }),
  content: Type.String({ description: 'The text; of a streaming message, what there is of it so far.' }),
  timestamp: Timestamp,
  status: OpenWord(['completed', 'streaming', 'stopped', 'failed', 'interrupted', 'deleted'], {
    description: 'How it stands: `completed`, `streaming`, `stopped`, `failed`, `interrupted` or `deleted`.'
  }),
  replyTo: Type.Optional(Type.String({ description: 'The user message that a bot message answers.' })),
  configVersion: Type.Optional(Type.Integer({ minimum: 1, description: 'The version of the configuration that a bot message was written by.' })),
  model: Type.Optional(Type.String({ description: 'The model that wrote it, as it names itself.' })),
  fallback: Type.Optional(Type.Boolean({ description: 'True: written by the offline provider, because the model was away.' })),
  finishReason: Type.Optional(OpenWord(['stop', 'length', 'model_length'], { description: 'Why the model ended: `stop`, `length`, …' })),
  usage: Type.Optional(Usage),
  error: Type.Optional(Type.Object({
    code: ErrorCode,
    detail: Type.String({ description: 'What went wrong, for people.' })
  }, { description: 'Why a `failed` or `interrupted` message is not complete.' })),
  feedback: Type.Optional(Ref(Feedback)),
  metadata: Type.Optional(StoredMetadata)
}, { $id: 'Message', description: 'One message of a session.', examples: [botMessage, userMessage] })
export type Message = Static<typeof Message>

/** The body of a send; how long a message may be is the server's setting. */
export function MessageInput (maxChars: number) {
  return Type.Object({
    message: NonBlankText({ maxLength: maxChars, description: 'What the user says.' }),
    metadata: Type.Optional(Metadata)
  }, { ...closed, $id: 'MessageInput', description: 'A message to the chatbot.', examples: [{ message: 'When will my order arrive?' }] })
}
export type MessageInput = Static<ReturnType<typeof MessageInput>>

export const Exchange = Type.Object({
  reply: Type.String({ description: 'The text of `botMessage`.' }),
  userMessage: Ref(Message),
  botMessage: Ref(Message)
}, { $id: 'Exchange', description: 'A message and its reply.', examples: [{ reply: botMessage.content, userMessage, botMessage }] })
export type Exchange = Static<typeof Exchange>

export const Accepted = Type.Object({
  userMessage: Ref(Message),
  botMessage: Ref(Message)
}, {
  $id: 'Accepted',
  description: 'A message that was taken on, and its reply as it is now.',
  examples: [{ userMessage, botMessage: begunReply }]
})
export type Accepted = Static<typeof Accepted>

export const RatedMessage = Type.Object({
  configId: Id,
  userId: OrNull(Type.String(), 'Whose conversation it is. Null: of no particular user.'),
  message: Ref(Message)
}, {
  $id: 'RatedMessage',
  description: 'A reply that was rated; the rating is in the message.',
  examples: [{ configId, userId: 'customer-17', message: { ...botMessage, feedback } }]
})
export type RatedMessage = Static<typeof RatedMessage>

export const RatedMessagePage = Page('RatedMessagePage', RatedMessage)

export const MessagePage = Page('MessagePage', Message)

export const History = Type.Object({
  data: Type.Array(Ref(Message), { description: 'In ascending order of `seq`.' }),
  hasMore: Type.Boolean({ description: 'Whether there are more in the direction asked for; with neither `after` nor `before`, older ones.' })
}, { $id: 'History', description: 'A stretch of a session\'s messages.', examples: [{ data: [userMessage, botMessage], hasMore: false }] })
export type History = Static<typeof History>

export const HistoryQuery = Type.Object({
  limit: Type.Integer({ minimum: 1, maximum: 200, default: 50, description: 'How many at most.' }),
  after: Type.Optional(Type.Integer({ minimum: 0, maximum: 2 ** 31 - 1, description: 'Only messages with a greater `seq`, the oldest of them first. Not with `before`.' })),
  before: Type.Optional(Type.Integer({ minimum: 1, maximum: 2 ** 31 - 1, description: 'Only messages with a smaller `seq`, the newest of them. Not with `after`.' })),
  branch: Type.Optional(Type.String({
    pattern: '^[0-9a-f]{24}$', description: 'Only messages of this branch, with those before it on the branches it left. Default: the active one.'
  }))
}, closed)
export type HistoryQuery = Static<typeof HistoryQuery>

export const SendQuery = Type.Object({
  onBusy: OneOf(['reject', 'queue', 'interrupt'], {
    default: 'reject',
    description: 'What to do while the session answers another message: refuse (409), wait in line, or stop the running reply.'
  })
}, closed)

export const SendHeaders = Type.Object({
  'idempotency-key': Type.Optional(IdempotencyKey(
    'Makes the send safe to repeat: the same key and body never makes a second message or a second reply.'
  )),
  prefer: Type.Optional(Type.String({
    description: '`respond-async`: do not wait for the reply (RFC 7240). Other preferences are ignored.'
  }))
})

export const StreamQuery = Type.Object({
  offset: Type.Optional(Type.Integer({ minimum: 0, maximum: 2 ** 31 - 1, description: 'Where to go on, in UTF-16 code units. `Last-Event-ID` comes before it.' }))
}, closed)

export const StreamHeaders = Type.Object({
  'last-event-id': Type.Optional(Type.String({ maxLength: 100, description: 'The `id` of the last event received.' }))
})
