// Compiles only while the typed events carry what the document says, no more and no less.
import type { MessageEvent, ReplyEvent, SessionEvent, SessionFeedEvent, TenantEvent, TenantFeedEvent } from '@parley/client'

type Same<A, B> = [A, B] extends [B, A] ? true : false

export const same: [
  Same<ReplyEvent['data'], MessageEvent>, Same<SessionFeedEvent['data'], SessionEvent>, Same<TenantFeedEvent['data'], TenantEvent>
] = [true, true, true]
