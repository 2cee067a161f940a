import { type Catalog } from './catalog.ts'
import { type Cursors } from '../query/cursors.ts'
import { successor } from './key-encoding.ts'
import { type Storage } from './storage.ts'
import { type Writes } from '../update/writes.ts'
import { compileFilter } from '../query/matcher.ts'
import { type Document } from '../values/values.ts'

const PURGE_KEYS = 5000

/** What happens in the background: documents that expire, cursors nobody uses, data of dropped collections. */
export class Maintenance {
  private readonly storage: Storage
  private readonly catalog: Catalog
  private readonly writes: Writes
  private readonly cursors: Cursors
  private work: Promise<void> = Promise.resolve()
  private isStopped = false

  constructor (storage: Storage, catalog: Catalog, writes: Writes, cursors: Cursors) {
    this.storage = storage
    this.catalog = catalog
    this.writes = writes
    this.cursors = cursors
  }

  /** One round; rounds do not overlap. */
  sweep (): Promise<void> {
    this.work = this.work.then(async () => {
      if (this.isStopped) return
      this.cursors.expire()
      this.storage.forgetDeadReaders()
      await this.expireDocuments()
    })
    return this.work
  }

  /** Deletes documents whose TTL field (or the earliest date in it) lies far enough back. */
  private async expireDocuments (): Promise<void> {
    for (const { namespace, indexes } of this.catalog.all()) {
      for (const index of indexes) {
        const [field, ...others] = index.fields
        const { expireAfterSeconds: seconds, building } = index
        const isExpiring = seconds !== undefined && others.length === 0 && !building && !this.isStopped
        if (field === undefined || !isExpiring) continue
        const before = new Date(Date.now() - seconds * 1000)
        const filter: Document = { [field.path]: { $lte: before } }
        const scope = index.partial === undefined ? filter : { $and: [filter, index.partial.source] }
        await this.writes.deleteMany(namespace, {
          filter: compileFilter(scope),
          sort: [],
          skip: 0,
          limit: 0,
          projection: undefined,
          hint: undefined,
          deadline: Infinity,
          variables: {}
        })
      }
    }
  }

  /** Starts removing what dropped collections and indexes left behind, in slices. */
  purge (): Promise<void> {
    this.work = this.work.then(async () => {
      for (const prefix of this.catalog.dropped()) await this.purgePrefix(prefix)
    })
    return this.work
  }

  private async purgePrefix (prefix: Buffer): Promise<void> {
    const end = successor(prefix) ?? prefix
    let isDone = false
    while (!isDone && !this.isStopped) {
      await this.storage.write(() => {
        const keys = this.storage.keys({ start: prefix, end, limit: PURGE_KEYS })
        for (const key of keys) this.storage.remove(key)
        isDone = keys.length < PURGE_KEYS
        if (isDone) this.catalog.purged(prefix)
      })
    }
  }

  /** Resolves when the present round is over; no new slice starts. */
  async idle (): Promise<void> {
    this.isStopped = true
    await this.work
  }
}
