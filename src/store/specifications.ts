import { type Collection, type Db, type ObjectId } from 'mongodb'
import { type Draft } from '../../schemas/specification.ts'
import { type ErrorCode } from '../errors.ts'
import { type Usage } from '../llm/provider.ts'
import { parseId } from './ids.ts'
import { insertNew } from './insert-new.ts'
import { findPage, type PageOf, type PageRequest } from './page.ts'

/** A draft, and where it comes from. */
export interface Drafted {
  readonly draft: Draft
  readonly source: 'model' | 'rules'
  readonly model?: string
  readonly usage?: Usage
}

export interface Specification extends Partial<Drafted> {
  readonly id: string
  readonly tenantId: string
  readonly brief: string
  /** A BCP 47 tag. */
  readonly language: string
  /** Why the last attempt at a draft failed; there is none where there is a draft. */
  readonly error?: { readonly code: ErrorCode, readonly detail: string }
  readonly createdAt: Date
}

interface SpecificationDocument extends Omit<Specification, 'id'> {
  _id: ObjectId
}

function toSpecification ({ _id, ...rest }: SpecificationDocument): Specification {
  return { id: _id.toHexString(), ...rest }
}

/** The collection `specifications`. A brief is kept before anything is made of it, and a draft never changes. */
export class SpecificationRepository {
  readonly #collection: Collection<SpecificationDocument>

  constructor (db: Db) {
    this.#collection = db.collection('specifications')
  }

  async createIndexes (): Promise<void> {
    await this.#collection.createIndexes([{ key: { tenantId: 1, createdAt: -1, _id: -1 } }])
  }

  /** Does nothing where there is one with this id already. */
  async insert ({ id, ...rest }: Specification): Promise<void> {
    await insertNew(this.#collection, { _id: parseId(id)!, ...rest })
  }

  async find (tenantId: string, id: string): Promise<Specification | undefined> {
    const _id = parseId(id)
    const document = _id && await this.#collection.findOne({ _id, tenantId })
    return document ? toSpecification(document) : undefined
  }

  /** Newest first. */
  async page (tenantId: string, request: PageRequest): Promise<PageOf<Specification>> {
    const { data, nextCursor } = await findPage(this.#collection, { tenantId }, 'createdAt', request)
    return { data: data.map(toSpecification), nextCursor }
  }

  /** Keeps the first draft that there is. */
  async keep (id: string, drafted: Drafted): Promise<void> {
    const { language } = drafted.draft.tone
    await this.#collection.updateOne(
      { _id: parseId(id)!, draft: { $exists: false } }, { $set: { ...drafted, language }, $unset: { error: 1 } }
    )
  }

  /** Notes why there is no draft, as long as there is none. */
  async fail (id: string, error: NonNullable<Specification['error']>): Promise<void> {
    await this.#collection.updateOne({ _id: parseId(id)!, draft: { $exists: false } }, { $set: { error } })
  }
}
