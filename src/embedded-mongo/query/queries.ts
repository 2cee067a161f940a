import { type Catalog, type Collection } from '../storage/catalog.ts'
import { type DocumentStream } from './cursors.ts'
import { CommandError } from '../errors.ts'
import { type Variables } from '../aggregation/expressions.ts'
import { compileFilter, type Filter } from './matcher.ts'
import { parseSort, plan, type Plan, type SortField } from './planner.ts'
import { compileProjection } from './projection.ts'
import { documentOf } from '../storage/records.ts'
import { PAUSE, Scan, type Found, type ScanCost } from './scan.ts'
import { Sorter, sortKey } from './sorting.ts'
import { type Storage } from '../storage/storage.ts'
import { encode, isDocument, isNumeric, toNumber, type Document } from '../values/values.ts'

/** A read of one collection, as find, count, distinct, aggregate and the writes need it. */
export interface Query {
  filter: Filter
  sort: readonly SortField[]
  skip: number
  /** 0: no limit. */
  limit: number
  projection: unknown
  hint: unknown
  /** Epoch milliseconds after which the read fails with MaxTimeMSExpired. */
  deadline: number
  variables: Variables
}

/** The parts of a command that make a query. Throws on wrong types. */
export function parseQuery (body: Document, filterName: string, variables: Variables): Query {
  const filter = body[filterName] ?? {}
  if (!isDocument(filter)) {
    throw new CommandError(14, `BSON field '${filterName}' is the wrong type, expected type 'object'`)
  }
  refuseCollation(body.collation)
  return {
    filter: compileFilter(filter, variables),
    sort: parseSort(body.sort),
    skip: countOption('skip', body.skip),
    limit: Math.abs(countOption('limit', body.limit, true)),
    projection: body.projection ?? body.fields,
    hint: body.hint === null || (isDocument(body.hint) && Object.keys(body.hint).length === 0) ? undefined : body.hint,
    deadline: deadlineOf(body.maxTimeMS),
    variables
  }
}

/** Only the simple collation exists here: a wrong order given silently would be worse than an error. */
export function refuseCollation (collation: unknown): void {
  if (isDocument(collation) && collation.locale !== 'simple') {
    throw new CommandError(115, 'collation is not supported by the embedded store')
  }
}

/** A count in a command. Throws 2 when negative or no number. */
export function countOption (name: string, value: unknown, isNegativeAllowed = false): number {
  if (value === undefined || value === null) return 0
  if (!isNumeric(value)) throw new CommandError(14, `BSON field '${name}' is the wrong type, expected a number`)
  const count = Math.trunc(toNumber(value))
  if (count < 0 && !isNegativeAllowed) {
    throw new CommandError(2, `BSON field '${name}' value must be >= 0, actual value '${count}'`)
  }
  return count
}

function deadlineOf (maxTimeMS: unknown): number {
  const limit = countOption('maxTimeMS', maxTimeMS)
  return limit === 0 ? Infinity : Date.now() + limit
}

/** What an execution found out, for explain. */
export interface Execution {
  plan: Plan
  cost: ScanCost
  isSortBlocking: boolean
}

/** A query being answered: a lazy row of what was found, and what it cost so far. */
export interface Results extends Execution {
  next: () => Found | typeof PAUSE | undefined
}

const NO_COST: ScanCost = { keysExamined: 0, docsExamined: 0 }

/** Answers queries from the storage. */
export class Queries {
  private readonly storage: Storage
  private readonly catalog: Catalog

  constructor (storage: Storage, catalog: Catalog) {
    this.storage = storage
    this.catalog = catalog
  }

  /** Plans a query and starts answering it; an unknown collection is empty. */
  run (namespace: string, query: Query): Results {
    const collection = this.catalog.find(namespace)
    if (collection === undefined) return { ...emptyExecution(query), next: () => undefined }
    const chosen = plan(collection, query.filter, query.sort, query.hint)
    const scan = new Scan(this.storage, collection, chosen, query.filter, query.deadline)
    const isSortBlocking = !chosen.sorted
    const source = isSortBlocking ? sorting(scan, query) : () => scan.next()
    return {
      plan: chosen,
      cost: scan,
      isSortBlocking,
      next: window(source, isSortBlocking ? 0 : query.skip, isSortBlocking ? 0 : query.limit)
    }
  }

  /** A query's documents as bytes, projected. */
  stream (namespace: string, query: Query): DocumentStream & Execution {
    const results = this.run(namespace, query)
    const projection = compileProjection(query.projection, query.filter.source, query.variables)
    if (projection === undefined) return { ...results, next: () => bytesOf(results.next()) }
    return {
      ...results,
      next: () => {
        const found = results.next()
        return found === undefined || found === PAUSE ? found : encode(projection(documentOf(found)))
      }
    }
  }

  /** The first document of a query, at once: for use inside a transaction. */
  first (collection: Collection, query: Query): Found | undefined {
    const results = this.run(collection.namespace, { ...query, limit: 1 })
    let found = results.next()
    while (found === PAUSE) found = results.next()
    return found
  }

  /** How many documents a query finds, without reading them where the index alone knows. */
  countExactly (namespace: string, query: Query): number | undefined {
    const collection = this.catalog.find(namespace)
    if (collection === undefined) return 0
    const chosen = plan(collection, query.filter, [], query.hint)
    const isCountable = chosen.exact && (chosen.index === undefined || chosen.index.multikey.size === 0)
    return isCountable ? new Scan(this.storage, collection, chosen, query.filter).count() : undefined
  }
}

function emptyExecution (query: Query): Execution {
  const nothing: Plan = {
    index: undefined,
    ranges: [],
    reverse: false,
    exact: false,
    sorted: query.sort.length === 0,
    bounds: []
  }
  return { plan: nothing, cost: NO_COST, isSortBlocking: false }
}

function bytesOf (found: Found | typeof PAUSE | undefined): Uint8Array | typeof PAUSE | undefined {
  return found === undefined || found === PAUSE ? found : found.bytes
}

function window (source: Results['next'], skip: number, limit: number): Results['next'] {
  let toSkip = skip
  let left = limit === 0 ? Infinity : limit
  return () => {
    while (left > 0) {
      const found = source()
      if (found === undefined || found === PAUSE) return found
      if (toSkip-- > 0) continue
      left--
      return found
    }
    return undefined
  }
}

/** Collects everything, pausing as the scan does, then gives it in order. */
function sorting (scan: Scan, { sort, skip, limit }: Query): Results['next'] {
  const sorter = new Sorter<Found>(limit === 0 ? Infinity : skip + limit, ({ bytes }) => bytes.length)
  let sorted: Iterator<Found> | undefined
  return () => {
    if (sorted === undefined) {
      for (let found = scan.next(); found !== undefined; found = scan.next()) {
        if (found === PAUSE) return PAUSE
        sorter.add(sortKey(documentOf(found), sort), { id: found.id, bytes: found.bytes })
      }
      sorted = sorter.finish().slice(skip)[Symbol.iterator]()
    }
    const result = sorted.next()
    return result.done === true ? undefined : result.value
  }
}
