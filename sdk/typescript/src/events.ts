import {
  type FeedStarted, type MessageDeleted, type MessageDelta, type MessageEnded, type MessageRated, type MessageStarted, type SessionCleared,
  type SessionDeleted, type SessionUpdated, type TurnStarted
} from './generated/types.gen.js'

/** A server-sent event: its name says what its data is. */
interface Event<Name extends string, Data> {
  readonly event: Name
  /** Where the stream goes on after this event; opaque. Absent where it cannot. */
  readonly id?: string
  readonly data: Data
}

const ends = ['message.completed', 'message.stopped', 'message.failed', 'message.interrupted'] as const
type EndName = typeof ends[number]

/** What a reader of one reply is told. The last one is that of its end. */
export type ReplyEvent =
  | Event<'message.started', MessageStarted>
  | Event<'message.delta', MessageDelta>
  | Event<EndName | 'message.deleted', MessageEnded>

/** What the feed of a tenant tells. */
export type TenantFeedEvent =
  | Event<'feed.started', FeedStarted>
  | Event<'message.started', TurnStarted>
  | Event<EndName, MessageEnded>
  | Event<'message.deleted', MessageDeleted>
  | Event<'message.feedback', MessageRated>
  | Event<'session.updated', SessionUpdated>
  | Event<'session.cleared', SessionCleared>
  | Event<'session.deleted', SessionDeleted>

/** What the feed of a session tells. */
export type SessionFeedEvent = TenantFeedEvent | Event<'message.delta', MessageDelta>

/** A kind of stream: which events there are, and which of them is the last one. Others are passed over: there will be more. */
export interface Kind<E extends Event<string, unknown>> {
  readonly known: ReadonlySet<string>
  readonly isLast: (event: E) => boolean
}

const kind = <E extends Event<string, unknown>>(names: ReadonlyArray<E['event']>, last: ReadonlyArray<E['event']>): Kind<E> =>
  ({ known: new Set(names), isLast: ({ event }) => last.includes(event) })

const endsOfReply = [...ends, 'message.deleted'] as const
const inFeeds = [
  'feed.started', 'message.started', ...ends, 'message.deleted', 'message.feedback', 'session.updated', 'session.cleared', 'session.deleted'
] as const

export const replies = kind<ReplyEvent>(['message.started', 'message.delta', ...endsOfReply], endsOfReply)
export const sessionFeeds = kind<SessionFeedEvent>([...inFeeds, 'message.delta'], ['session.deleted'])
export const tenantFeeds = kind<TenantFeedEvent>(inFeeds, [])
