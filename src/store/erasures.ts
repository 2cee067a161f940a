import { type Collection, type Db, type Filter, type ObjectId } from 'mongodb'
import { newId, parseId } from './ids.ts'
import { insertNew } from './insert-new.ts'
import { type HoldableSession } from './legal-holds.ts'
import { findPage, type PageOf, type PageRequest } from './page.ts'
import { type Claim } from './removal-claims.ts'
import { hidden, present, type SessionDocument } from './sessions.ts'

/** An end user of a tenant. */
export interface Person {
  readonly tenantId: string
  readonly userId: string
}

/** Sessions that were counted and are being removed. */
export interface CountedBatch {
  readonly sessionIds: readonly string[]
  readonly messages: number
}

/** The removal of all that is kept of a person, and what was removed so far. */
export interface Erasure {
  readonly id: string
  readonly tenantId: string
  /** Stands for the person without naming them. */
  readonly subject: string
  /** The person, until nothing of them is left. */
  readonly userId: string | null
  readonly status: 'running' | 'completed'
  readonly removed: { readonly sessions: number, readonly messages: number }
  /** What is to be added to `removed` once it is gone. */
  readonly batch: CountedBatch | null
  /** Counts the writes: whoever has read an older one must look again. */
  readonly step: number
  readonly requestedAt: Date
  readonly completedAt: Date | null
}

type Progress = Partial<Pick<Erasure, 'userId' | 'status' | 'removed' | 'batch' | 'completedAt'>>

interface ErasureDocument extends Omit<Erasure, 'id'> {
  _id: ObjectId
}

const toErasure = ({ _id, ...rest }: ErasureDocument): Erasure => ({ id: _id.toHexString(), ...rest })
const hex = ({ _id }: { _id: ObjectId }) => _id.toHexString()

/** The collection `erasures`, and the sessions of the people in it. */
export class ErasureRepository {
  readonly #erasures: Collection<ErasureDocument>
  readonly #sessions: Collection<SessionDocument>

  constructor (db: Db) {
    this.#erasures = db.collection('erasures')
    this.#sessions = db.collection('sessions')
  }

  async createIndexes (): Promise<void> {
    const running = { partialFilterExpression: { status: 'running' } }
    await this.#erasures.createIndexes([
      { key: { tenantId: 1, requestedAt: -1, _id: -1 } },
      { key: { status: 1 }, ...running },
      { key: { subject: 1 }, unique: true, ...running }
    ])
  }

  /** Begins an erasure, or has the one that runs for this person look once more. */
  async begin ({ tenantId, userId }: Person, subject: string, now: Date): Promise<Erasure> {
    const fresh: ErasureDocument = {
      _id: parseId(newId())!,
      tenantId,
      subject,
      userId,
      status: 'running',
      removed: { sessions: 0, messages: 0 },
      batch: null,
      step: 0,
      requestedAt: now,
      completedAt: null
    }
    for (;;) {
      const running = await this.#erasures.findOneAndUpdate(
        { subject, status: 'running' }, { $inc: { step: 1 } }, { returnDocument: 'after' }
      )
      if (running) return toErasure(running)
      if (await insertNew(this.#erasures, fresh)) return toErasure(fresh)
    }
  }

  async find (tenantId: string, id: string): Promise<Erasure | undefined> {
    const _id = parseId(id)
    const document = _id && await this.#erasures.findOne({ _id, tenantId })
    return document ? toErasure(document) : undefined
  }

  /** Newest first. */
  async page (tenantId: string, request: PageRequest): Promise<PageOf<Erasure>> {
    const { data, nextCursor } = await findPage(this.#erasures, { tenantId }, 'requestedAt', request)
    return { data: data.map(toErasure), nextCursor }
  }

  /** Some that run, behind `after`. */
  async running (limit: number, after?: string): Promise<Erasure[]> {
    const filter: Filter<ErasureDocument> = { status: 'running', ...(after !== undefined && { _id: { $gt: parseId(after)! } }) }
    return (await this.#erasures.find(filter).sort({ _id: 1 }).limit(limit).toArray()).map(toErasure)
  }

  async isRunning (subject: string): Promise<boolean> {
    return await this.#erasures.findOne({ subject, status: 'running' }) !== null
  }

  /** Goes on with an erasure. Undefined: somebody else has, so it is not as it was read. */
  async advance ({ id, step }: Erasure, progress: Progress): Promise<Erasure | undefined> {
    const document = await this.#erasures.findOneAndUpdate(
      { _id: parseId(id)!, status: 'running', step }, { $set: progress, $inc: { step: 1 } }, { returnDocument: 'after' }
    )
    return document ? toErasure(document) : undefined
  }

  /** Some sessions of a person that readers see. */
  async presentOf (person: Person, limit: number): Promise<HoldableSession[]> {
    return (await this.#find({ ...person, status: present }, limit)).map(({ _id, configId }) => (
      { ...person, id: _id.toHexString(), configId: configId.toHexString() }
    ))
  }

  /** Hides sessions that are claimed from every reader. */
  async hide ({ tenantId, ids, leaving }: Claim): Promise<void> {
    await this.#sessions.updateMany(
      { _id: { $in: ids.map((id) => parseId(id)!) }, tenantId, status: present, leaving }, { $set: { ...hidden, erasing: true } }
    )
  }

  /** Sessions of a person that are hidden and still there. */
  async hiddenOf (person: Person, limit: number): Promise<string[]> {
    return (await this.#find({ ...person, status: 'deleted', erasing: true }, limit)).map(hex)
  }

  /** Whether there is a session of a person that readers see. */
  async anyPresent (person: Person): Promise<boolean> {
    return (await this.#find({ ...person, status: present }, 1)).length > 0
  }

  /** Whether a session of a person is still there that no reader sees, whoever removes it. */
  async anyGoing (person: Person): Promise<boolean> {
    return (await this.#find({ ...person, status: 'deleted' }, 1)).length > 0
  }

  /** Somebody whose sessions are hidden for an erasure, if there is anybody. */
  async someone (): Promise<Person | undefined> {
    const found = await this.#sessions.findOne({ status: 'deleted', erasing: true })
    return found ? { tenantId: found.tenantId, userId: found.userId! } : undefined
  }

  /** Leaves what is hidden of a person to the ordinary removal. */
  async disown (person: Person): Promise<void> {
    await this.#sessions.updateMany({ ...person, status: 'deleted', erasing: true }, { $unset: { erasing: '' } })
  }

  async #find (filter: Filter<SessionDocument>, limit: number): Promise<Array<Pick<SessionDocument, '_id' | 'configId'>>> {
    return await this.#sessions.find(filter).project<Pick<SessionDocument, '_id' | 'configId'>>({ configId: 1 }).limit(limit).toArray()
  }
}
