import { EventData, all } from './event-stream.ts'
import { begunReply, botMessageId, ended, feedback, sessionId, userMessage } from './examples.ts'
import { Feedback } from './feedback.ts'
import { MessageDelta, MessageEnded, ends } from './message-event.ts'
import { Message } from './message.ts'
import { Id, StoredMetadata, Timestamp, UserId } from './text.ts'
import { OpenWord, OrNull, Ref, Type, closed, type Static } from './type.ts'

const place = { sessionId: Id, at: Timestamp }
const there = { sessionId, at: ended }

/** `data` of `feed.started`. */
export const FeedStarted = Type.Object({
  cursor: Type.String({ description: 'Where the feed begins; opaque.' })
}, { $id: 'FeedStarted', description: '`data` of the event `feed.started`: from here on nothing is left out.', examples: [{ cursor: 'MTc0MDkwNzgwMDAwMA' }] })
export type FeedStarted = Static<typeof FeedStarted>

/** `data` of `message.started` in a feed. */
export const TurnStarted = Type.Object({
  userMessage: Type.Optional(Ref(Message)),
  botMessage: Type.Optional(Ref(Message)),
  branchId: Type.String({ description: 'The branch that the session goes on with.' })
}, {
  $id: 'TurnStarted',
  description: '`data` of the event `message.started` in a feed: a reply has begun, still without a text. `userMessage` is what it ' +
    'answers, which an earlier reply may have answered already; absent, where it is not there any more. `botMessage` is absent ' +
    'where the server died before there was a reply.',
  examples: [{ userMessage, botMessage: begunReply, branchId: sessionId }]
})
export type TurnStarted = Static<typeof TurnStarted>

/** `data` of `message.deleted`. */
export const MessageDeleted = Type.Object({
  ...place, messageId: Id, seq: Type.Integer({ minimum: 1, description: 'The place of the message, which stays.' })
}, { $id: 'MessageDeleted', description: '`data` of the event `message.deleted`: the text of a message is gone.', examples: [{ ...there, messageId: botMessageId, seq: 2 }] })

/** `data` of `message.feedback`. */
export const MessageRated = Type.Object({
  ...place, messageId: Id, feedback: OrNull(Ref(Feedback), 'What a reader thinks of it. Null: nothing any more.')
}, {
  $id: 'MessageRated',
  description: '`data` of the event `message.feedback`: what a reader thinks of a reply now; null: nothing.',
  examples: [{ ...there, messageId: botMessageId, feedback }]
})

/** `data` of `session.updated`. */
export const SessionUpdated = Type.Object({
  ...place,
  title: Type.Optional(OrNull(Type.String(), 'The title it has now; null: none.')),
  metadata: Type.Optional(StoredMetadata),
  status: Type.Optional(OpenWord(['active', 'ended'], { description: '`active` or `ended`.' })),
  branchId: Type.Optional(Type.String({ description: 'The branch that the session goes on with.' }))
}, {
  $id: 'SessionUpdated',
  description: '`data` of the event `session.updated`: what was set; absent members stayed as they were.',
  examples: [{ ...there, title: 'Delivery times' }]
})

/** `data` of `session.cleared`. */
export const SessionCleared = Type.Object({
  ...place, throughSeq: Type.Integer({ minimum: 1, description: 'All messages up to this `seq` are gone.' })
}, { $id: 'SessionCleared', description: '`data` of the event `session.cleared`: the history was erased.', examples: [{ ...there, throughSeq: 2 }] })

/** `data` of `session.deleted`. */
export const SessionDeleted = Type.Object(place, {
  $id: 'SessionDeleted', description: '`data` of the event `session.deleted`, the last one of a session.', examples: [there]
})

const reconnecting = '`stream.reconnect` (data `{}`) asks you to come back with `Last-Event-ID`. A comment line every 15 s keeps ' +
  'the connection open. Open to growth: pass over events that you do not know.'

const changes = {
  'message.deleted': MessageDeleted,
  'message.feedback': MessageRated,
  'session.updated': SessionUpdated,
  'session.cleared': SessionCleared,
  'session.deleted': SessionDeleted
}

/** What the feed of a session carries. */
export const SessionEvent = EventData('SessionEvent', {
  'feed.started': FeedStarted, 'message.started': TurnStarted, 'message.delta': MessageDelta, ...all(ends, MessageEnded), ...changes
}, reconnecting)

// What a list of types may name; the order is that of the life of a session.
const turnsAndChanges = { 'message.started': TurnStarted, ...all(ends, MessageEnded), ...changes }
const eventTypes = Object.keys(turnsAndChanges)

/** What the feed of a tenant carries. */
export const TenantEvent = EventData('TenantEvent', { 'feed.started': FeedStarted, ...turnsAndChanges }, reconnecting)

const cursor = Type.Optional(Type.String({
  maxLength: 200, description: 'Go on after this: the `id` of an event, or the `cursor` of `feed.started`. `Last-Event-ID` comes before it.'
}))

export const SessionEventsQuery = Type.Object({ cursor }, closed)

export const TenantEventsQuery = Type.Object({
  configId: Type.Optional(Type.String({ pattern: '^[0-9a-f]{24}$', description: 'Only of sessions with this chatbot.' })),
  userId: Type.Optional(UserId),
  types: Type.Optional(Type.String({
    pattern: `^(${eventTypes.join('|')})(,(${eventTypes.join('|')}))*$`.replaceAll('.', '\\.'),
    description: `Only these events, separated by commas: ${eventTypes.map((name) => `\`${name}\``).join(', ')}.`
  })),
  cursor
}, closed)
export type TenantEventsQuery = Static<typeof TenantEventsQuery>

export const EventsHeaders = Type.Object({
  'last-event-id': Type.Optional(Type.String({
    maxLength: 200, description: 'The `id` of the last event received; the feed goes on after it.'
  }))
})
