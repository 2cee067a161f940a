import { type Collection, type Document, type Filter, type ObjectId, type WithId } from 'mongodb'

interface Asking<T> {
  readonly _id: ObjectId
  readonly resolve: (document: WithId<T> | undefined) => void
  readonly reject: (error: unknown) => void
}

/** Finds documents by their ids. Those that are asked for at one moment are found by one command. */
export class FoundTogether<T extends Document & { _id: ObjectId }> {
  readonly #collection: Collection<T>
  #asking: Array<Asking<T>> = []

  constructor (collection: Collection<T>) {
    this.#collection = collection
  }

  async find (_id: ObjectId): Promise<WithId<T> | undefined> {
    return await new Promise((resolve, reject) => {
      this.#asking.push({ _id, resolve, reject })
      if (this.#asking.length === 1) setImmediate(() => { void this.#find() })
    })
  }

  async #find (): Promise<void> {
    const asking = this.#asking
    this.#asking = []
    try {
      const filter = { _id: { $in: asking.map(({ _id }) => _id) } } as Filter<T>
      const found = await this.#collection.find(filter, { batchSize: asking.length + 1 }).toArray()
      const byId = new Map(found.map((document) => [String(document._id), document]))
      for (const { _id, resolve } of asking) resolve(byId.get(String(_id)))
    } catch (error) {
      for (const { reject } of asking) reject(error)
    }
  }
}
