import { type SearchPage, type SearchQuery } from '../../schemas/search.ts'
import { type Principal } from '../auth/principal.ts'
import { sessionScope } from '../sessions/access.ts'
import { type Store } from '../store/store.ts'
import { Finder } from './finder.ts'
import { Forgetting } from './forgetting.ts'
import { IndexReader } from './index-reader.ts'
import { Indexer, type IndexerOptions } from './indexer.ts'
import { Tables } from './tables.ts'

/** What names a message that is to be forgotten. */
export interface Forgotten {
  readonly tenantId: string
  readonly id: string
}

/** Finding what was said: an index of its own in the store, kept up to date in the background. */
export class Search {
  readonly #finder: Finder
  readonly #forgetting: Forgetting
  readonly #indexer: Indexer

  constructor (store: Store, log: IndexerOptions['log']) {
    const { searchSegments: segments, searchSources: sources, leases, messages, chatbots } = store
    const tables = new Tables(segments)
    this.#finder = new Finder({ reader: new IndexReader(segments, tables), sources, messages, chatbots })
    this.#forgetting = new Forgetting(segments, tables)
    this.#indexer = new Indexer({ sources, segments, leases, tables, log, now: () => performance.now() })
    this.#indexer.start()
  }

  /** The best matches that the caller may see. Throws `validation_failed` for a cursor that is none. */
  async find (principal: Principal, query: SearchQuery): Promise<SearchPage> {
    const scope = sessionScope(principal, 'sessions:read')
    const { userId = scope.userId, configId } = query
    if (scope.userId !== undefined && userId !== scope.userId) return { data: [], nextCursor: null }
    const narrowed = { ...scope, ...(userId !== undefined && { userId }), ...(configId !== undefined && { configId }) }
    return await this.#finder.find(narrowed, query)
  }

  /**
   * Takes messages out of the index: no search finds them, and their words leave it within seconds. To be called after
   * they were hidden from readers (by their session's log, its mark, or its `clearedSeq`), because what is being
   * indexed at that moment is looked at once more afterwards. Idempotent; made for batches of some hundreds.
   */
  async forget (messages: readonly Forgotten[]): Promise<void> {
    for (const [tenantId, ofTenant] of Map.groupBy(messages, ({ tenantId }) => tenantId)) {
      await this.#forgetting.forget(tenantId, new Set(ofTenant.map(({ id }) => id)))
    }
  }

  /** Ends the work in the background. */
  async close (): Promise<void> {
    await this.#indexer.close()
  }
}
