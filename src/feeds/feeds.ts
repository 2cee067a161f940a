import { type TenantEventsQuery } from '../../schemas/feed-event.ts'
import { type Principal } from '../auth/principal.ts'
import { type Followers } from '../chat/followers.ts'
import { ApiError } from '../errors.ts'
import { type Occurrence } from '../problem.ts'
import { sessionScope } from '../sessions/access.ts'
import { type SessionWatch } from '../sessions/session-watch.ts'
import { type Sessions } from '../sessions/sessions.ts'
import { type Store } from '../store/store.ts'
import { SessionFeed } from './session-feed.ts'
import { NEWEST, positionIn, presentPosition } from './session-position.ts'
import { settledTime, TenantFeed } from './tenant-feed.ts'
import { behind, positionAt } from './tenant-position.ts'

// Each is a connection, and a reader that is waited for.
const MAX_SESSION_FEEDS = 1000
// Each asks the store a few times a second.
const MAX_TENANT_FEEDS = 50

/** Server-sent events for one reader; they end by themselves, or soon after `signal` is aborted. */
export type Feed = (signal: AbortSignal) => AsyncIterable<string>

interface Dependencies {
  readonly store: Store
  readonly sessions: Sessions
  readonly watch: SessionWatch
  readonly followers: Followers
}

interface Frames {
  frames (signal: AbortSignal): AsyncIterable<string>
}

/** Opens feeds: what happens in a session, or for a tenant, from now on or from where a reader was. */
export class Feeds {
  readonly #deps: Dependencies
  readonly #ofSessions = new Set<Frames>()
  readonly #ofTenants = new Set<Frames>()

  constructor (deps: Dependencies) {
    this.#deps = deps
  }

  /** Throws `not_found`, `validation_failed` for a cursor of another feed, and `overloaded`. */
  async ofSession (
    principal: Principal, sessionId: string, cursor: string | undefined, occurrence: Occurrence
  ): Promise<Feed> {
    const { store, sessions, watch, followers } = this.#deps
    const newest = cursor === undefined ? await store.messages.newest(sessionId, NEWEST) : []
    const session = await sessions.require(sessionScope(principal, 'sessions:read'), sessionId)
    const fresh = cursor === undefined
    const position = fresh ? presentPosition(session, newest) : positionIn(cursor, session)
    const feed = new SessionFeed({ ...store, watch, followers }, { sessionId, position, fresh, occurrence })
    return this.#admit(feed, this.#ofSessions, MAX_SESSION_FEEDS)
  }

  /** Throws `validation_failed` for a cursor of another feed, and `overloaded`. */
  async ofTenant (
    { tenantId }: Principal, { types, configId, userId }: TenantEventsQuery, cursor: string | undefined, occurrence: Occurrence
  ): Promise<Feed> {
    const { store, sessions } = this.#deps
    const position = cursor === undefined ? behind(await settledTime(store)) : positionAt(cursor)
    const feed = new TenantFeed({ store, sessions }, {
      filter: { tenantId, ...(configId !== undefined && { configId }), ...(userId !== undefined && { userId }) },
      types: types === undefined ? undefined : new Set(types.split(',')),
      position,
      fresh: cursor === undefined,
      occurrence
    })
    return this.#admit(feed, this.#ofTenants, MAX_TENANT_FEEDS)
  }

  #admit (feed: Frames, open: Set<Frames>, most: number): Feed {
    if (open.size >= most) {
      throw new ApiError('overloaded', { detail: 'Too many feeds are being read here.', headers: { 'retry-after': '5' } })
    }
    return async function * (signal) {
      open.add(feed)
      try {
        yield * feed.frames(signal)
      } finally {
        open.delete(feed)
      }
    }
  }
}
