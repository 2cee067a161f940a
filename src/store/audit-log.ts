import { type Collection, type Db, type Filter, type ObjectId } from 'mongodb'
import { parseId } from './ids.ts'
import { findPage, type PageOf, type PageRequest } from './page.ts'

/** Who did it, without a name or an address of theirs. */
export interface AuditActor {
  readonly kind: string
  readonly id: string | null
  readonly keyId: string | null
  readonly role: string | null
}

/** What it was done to. */
export interface AuditTarget {
  readonly type: string
  readonly id: string | null
}

/** What was done, by whom and from where. */
export interface AuditEntry {
  readonly id: string
  /** Null while it is not known, and where nobody's: a login with an unknown address. */
  readonly tenantId: string | null
  readonly at: Date
  readonly action: string
  readonly actor: AuditActor
  readonly target: AuditTarget
  /** JSON. */
  readonly before: string | null
  readonly after: string | null
  /** The answer's. Null: the process died before it answered, or has not yet. */
  readonly status: number | null
  readonly ip: string
  readonly userAgent: string | null
  readonly requestId: string
}

export type AuditBeginning = Omit<AuditEntry, 'at' | 'after' | 'status'>

export interface AuditOutcome {
  readonly status: number
  readonly before: string | null
  readonly after: string | null
  readonly tenantId: string | null
  readonly actor: AuditActor
  readonly target: AuditTarget
}

export interface AuditFilter {
  readonly action?: string
  readonly actorId?: string
  readonly targetType?: string
  readonly targetId?: string
  readonly from?: Date
  readonly to?: Date
}

interface AuditDocument extends Omit<AuditEntry, 'id'> {
  _id: ObjectId
  /** Only of entries that are nobody's: those are not kept for ever, because anybody can make them. */
  nobodysSince?: Date
}

const NOBODYS_SECONDS = 30 * 86_400

const toEntry = ({ _id, ...rest }: AuditDocument): AuditEntry => ({ id: _id.toHexString(), ...rest })

/** The collection `auditLog`. An entry is made, is given its outcome once, and never changes again. */
export class AuditLogRepository {
  readonly #collection: Collection<AuditDocument>

  constructor (db: Db) {
    this.#collection = db.collection('auditLog')
  }

  async createIndexes (): Promise<void> {
    const latest = { at: -1, _id: -1 } as const
    await this.#collection.createIndexes([
      { key: { tenantId: 1, ...latest } },
      { key: { tenantId: 1, action: 1, ...latest } },
      { key: { tenantId: 1, 'actor.id': 1, ...latest } },
      { key: { tenantId: 1, 'target.id': 1, ...latest } },
      { key: { nobodysSince: 1 }, expireAfterSeconds: NOBODYS_SECONDS }
    ])
  }

  async begin ({ id, ...rest }: AuditBeginning): Promise<void> {
    // An upsert, because an insert does not know the store's time.
    await this.#collection.updateOne(
      { _id: parseId(id)! },
      {
        $setOnInsert: { ...rest, after: null, status: null },
        $currentDate: { at: true, ...(rest.tenantId === null && { nobodysSince: true }) }
      },
      { upsert: true }
    )
  }

  async end (id: string, outcome: AuditOutcome): Promise<void> {
    await this.#collection.updateOne(
      { _id: parseId(id)!, status: null },
      { $set: outcome, ...(outcome.tenantId !== null && { $unset: { nobodysSince: 1 } }) }
    )
  }

  /** Newest first. */
  async page (tenantId: string, filter: AuditFilter, request: PageRequest): Promise<PageOf<AuditEntry>> {
    const { action, actorId, targetType, targetId, from, to } = filter
    const wanted: Filter<AuditDocument> = {
      tenantId,
      ...(action !== undefined && { action }),
      ...(actorId !== undefined && { 'actor.id': actorId }),
      ...(targetType !== undefined && { 'target.type': targetType }),
      ...(targetId !== undefined && { 'target.id': targetId }),
      // Not `$gte`, because SecantusDB 0.7 leaves the equal one out where an index descends.
      ...((from ?? to) && { at: { ...(from && { $gt: new Date(from.getTime() - 1) }), ...(to && { $lt: to }) } })
    }
    const { data, nextCursor } = await findPage(this.#collection, wanted, 'at', request)
    return { data: data.map(toEntry), nextCursor }
  }
}
