import { setTimeout as delay } from 'node:timers/promises'
import { type FeedStarted } from '../../schemas/feed-event.ts'
import { frame } from '../chat/events.ts'
import { type Sessions } from '../sessions/sessions.ts'
import { type Store } from '../store/store.ts'
import { type Happening, readStretch, type Wanted } from './tenant-happenings.ts'
import { behind, compare, cursorAt, type TenantPosition } from './tenant-position.ts'

// Much longer than it takes from a write being dated to its being there for every reader.
const LAG_MS = 1000
const LOOK_MS = 500
const BATCH = 100

export interface TenantFeedDependencies {
  readonly store: Store
  readonly sessions: Sessions
}

/** What a reader is to be told, and from where on. `fresh`: they do not know that place yet. */
export interface TenantFeedStart extends Wanted {
  readonly position: TenantPosition
  readonly fresh: boolean
}

/** The latest time, by the store's clock, of which nothing can turn up any more, in milliseconds. */
export async function settledTime (store: Store): Promise<number> {
  return (await store.now()).getTime() - LAG_MS
}

/**
 * All that happens for a tenant, told to one reader: turns by their beginnings and their ends, and changes, in the order of
 * the store's clock. Looks again and again, always a second behind.
 */
export class TenantFeed {
  readonly #deps: TenantFeedDependencies
  readonly #start: TenantFeedStart
  #position: TenantPosition

  constructor (deps: TenantFeedDependencies, start: TenantFeedStart) {
    this.#deps = deps
    this.#start = start
    this.#position = start.position
  }

  /** Server-sent events, until `signal` is aborted. */
  async * frames (signal: AbortSignal): AsyncGenerator<string> {
    if (this.#start.fresh) yield this.#greeting()
    while (!signal.aborted) {
      const settled = await settledTime(this.#deps.store)
      while (this.#position.time <= settled && !signal.aborted) yield * this.#stretch(settled)
      await delay(LOOK_MS, undefined, { signal }).catch(() => {})
    }
  }

  #greeting (): string {
    const cursor = cursorAt(this.#position)
    const data: FeedStarted = { cursor }
    return frame('feed.started', data, cursor)
  }

  /** A part of what has happened up to a time. */
  async * #stretch (to: number): AsyncGenerator<string> {
    const { store } = this.#deps
    const stretch = { from: new Date(this.#position.time), to: new Date(to), limit: BATCH }
    const { found, through } = await readStretch(store, this.#start, stretch)
    const fresh = found.filter(({ position }) => compare(position, this.#position) > 0)
    for (const { event: { event, data }, position } of await this.#readable(fresh)) {
      yield frame(event, data, cursorAt(position))
    }
    this.#position = behind(through.getTime())
  }

  /** Those that a reader may be told: of what is deleted, only that it is. */
  async #readable (happenings: readonly Happening[]): Promise<Happening[]> {
    const { tenantId } = this.#start.filter
    const isThere = await this.#deps.sessions.presence({ tenantId }, happenings)
    return happenings.filter((happening) => happening.event.event === 'session.deleted' || isThere(happening))
  }
}
