import { growingCache } from '../growing-cache.ts'
import { type AuditEntry as AuditEntryView, type AuditQuery } from '../../schemas/audit.ts'
import { ApiError } from '../errors.ts'
import { type AuditActor, type AuditEntry, type AuditLogRepository, type AuditTarget } from '../store/audit-log.ts'
import { newId } from '../store/ids.ts'
import { type PageOf } from '../store/page.ts'
import { recordedValues } from './values.ts'

/** What is known before it is done. */
export interface AuditedRequest {
  readonly tenantId: string | null
  readonly action: string
  readonly actor: AuditActor
  readonly target: AuditTarget
  readonly ip: string
  readonly userAgent: string | undefined
  readonly requestId: string
}

/** What turned out. */
export interface AuditedAnswer extends Pick<AuditedRequest, 'tenantId' | 'actor' | 'target'> {
  readonly status: number
  readonly before?: unknown
  readonly after?: unknown
}

const MAX_USER_AGENT = 256

// Who leafs through a conversation reads it once; the entry says when that began.
const SAME_READ_MS = 60_000
const MAX_READS = 10_000

const parsed = (json: string | null): unknown => json === null ? null : JSON.parse(json)

const toView = ({ tenantId: _, at, before, after, ...rest }: AuditEntry): AuditEntryView =>
  ({ ...rest, at: at.toISOString(), before: parsed(before), after: parsed(after) })

/** Who did what. What is to be done is noted first, so that nothing is ever done that is not noted. */
export class AuditLog {
  readonly #entries: AuditLogRepository
  readonly #reads = growingCache<true>(MAX_READS, { ttl: SAME_READ_MS })

  constructor (entries: AuditLogRepository) {
    this.#entries = entries
  }

  /** Notes what is about to be done, and answers under which id. Throws `store_unavailable` where that cannot be. */
  async begin ({ userAgent, ...request }: AuditedRequest): Promise<string> {
    const id = newId()
    try {
      await this.#entries.begin({ ...request, id, before: null, userAgent: userAgent?.slice(0, MAX_USER_AGENT) ?? null })
    } catch (cause) {
      throw new ApiError('store_unavailable', { detail: 'This could not be noted in the audit log.', headers: { 'retry-after': '1' }, cause })
    }
    return id
  }

  /** Notes what became of it. */
  async end (id: string, { before, after, ...outcome }: AuditedAnswer): Promise<void> {
    await this.#entries.end(id, { ...outcome, ...recordedValues(before, after) })
  }

  /** Whether the same was read a moment ago, by the same and from the same place. */
  wasRead (read: string): boolean {
    return this.#reads.has(read)
  }

  /** From now on, and for a while, the same read is noted already. */
  noteRead (read: string): void {
    this.#reads.set(read, true)
  }

  /** Newest first. */
  async list (tenantId: string, { limit, cursor, from, to, ...filter }: AuditQuery): Promise<PageOf<AuditEntryView>> {
    const { data, nextCursor } = await this.#entries.page(tenantId, {
      ...filter,
      ...(from !== undefined && { from: new Date(from) }),
      ...(to !== undefined && { to: new Date(to) })
    }, { limit, ...(cursor !== undefined && { cursor }) })
    return { data: data.map(toView), nextCursor }
  }
}
