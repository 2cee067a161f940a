import { type Collection, type Index } from '../storage/catalog.ts'
import { valuesEqual } from '../values/compare.ts'
import { CommandError } from '../errors.ts'
import { compileFilter, isOperators } from '../query/matcher.ts'
import { type Reply } from '../wire/reply.ts'
import { isIdentical } from '../update/update.ts'
import { isDocument, isNumeric, toNumber, type Document } from '../values/values.ts'
import { catalogCursor } from './catalog-commands.ts'
import { isTrue, type Command, type Request } from '../wire/request.ts'
import { refuseCollation } from '../query/queries.ts'

const MAX_INDEXES = 64
const KNOWN_OPTIONS = new Set([
  'v', 'key', 'name', 'unique', 'sparse', 'partialFilterExpression', 'expireAfterSeconds', 'background', 'hidden',
  'ns', 'collation', 'comment', 'storageEngine'
])

async function createIndexes (request: Request): Promise<Reply> {
  const { body, store, database, collection: name, namespace } = request
  const { storage, catalog, indexes } = store
  const specs = request.documents('indexes').map(({ document }) => parseSpec(document))
  if (specs.length === 0) throw new CommandError(2, 'Must specify at least one index to create')
  if (body.commitQuorum !== undefined && body.commitQuorum !== null) {
    throw new CommandError(2, 'commitQuorum is supported only for two phase index builds')
  }
  const existed = catalog.find(namespace) !== undefined
  const collection = await storage.write(() => catalog.ensure(database, name))
  const numIndexesBefore = collection.indexes.length
  for (const spec of specs) {
    const present = sameIndex(collection, spec)
    if (present !== undefined) {
      await indexes.finished(present)
      continue
    }
    if (collection.indexes.length >= MAX_INDEXES) {
      throw new CommandError(67, `add index fails, too many indexes for ${namespace}`)
    }
    await indexes.build(collection, spec)
  }
  const numIndexesAfter = collection.indexes.length
  return {
    numIndexesBefore,
    numIndexesAfter,
    createdCollectionAutomatically: !existed,
    ...(numIndexesAfter === numIndexesBefore ? { note: 'all indexes already exist' } : {})
  }
}

/** Checks a specification and brings it into listIndexes' form. */
function parseSpec (given: Document): Document {
  const { key, name } = given
  if (!isDocument(key)) throw new CommandError(9, 'The \'key\' field is a required property of an index specification')
  if (typeof name !== 'string' || name === '') {
    throw new CommandError(9, 'The \'name\' field is a required property of an index specification')
  }
  for (const option of Object.keys(given)) {
    if (!KNOWN_OPTIONS.has(option)) {
      throw new CommandError(197, `The field '${option}' is not valid for an index specification`)
    }
  }
  checkKey(key)
  refuseCollation(given.collation)
  const spec: Document = { v: 2, key, name }
  if (isTrue(given.unique)) spec.unique = true
  if (isTrue(given.sparse)) spec.sparse = true
  if (given.expireAfterSeconds !== undefined) spec.expireAfterSeconds = expiry(given.expireAfterSeconds)
  const { partialFilterExpression } = given
  if (partialFilterExpression !== undefined) {
    spec.partialFilterExpression = partialFilter(partialFilterExpression, spec)
  }
  return spec
}

function checkKey (key: Document): void {
  const fields = Object.entries(key)
  if (fields.length === 0) throw new CommandError(67, 'Index keys cannot be an empty object')
  for (const [path, direction] of fields) {
    if (typeof direction === 'string') {
      throw new CommandError(67, `Index type '${direction}' is not supported by the embedded store`)
    }
    if (!isNumeric(direction) || toNumber(direction) === 0 || Number.isNaN(toNumber(direction))) {
      throw new CommandError(67, `Values in v:2 index key pattern must be numbers > 0 or < 0: ${path}`)
    }
    const parts = path.split('.')
    if (parts.includes('')) throw new CommandError(67, 'Index keys cannot be an empty field')
    if (parts.some((part) => part.startsWith('$'))) {
      throw new CommandError(67, `Index key contains an illegal field name: ${path}`)
    }
  }
}

function expiry (value: unknown): number {
  const seconds = isNumeric(value) ? toNumber(value) : NaN
  if (!(seconds >= 0 && seconds <= 0x7fffffff)) {
    throw new CommandError(67, 'TTL index \'expireAfterSeconds\' must be between 0 and 2147483647')
  }
  return Math.trunc(seconds)
}

function partialFilter (filter: unknown, spec: Document): Document {
  if (!isDocument(filter)) throw new CommandError(14, 'the field \'partialFilterExpression\' must be an object')
  if (spec.sparse === true) throw new CommandError(67, 'cannot mix "partialFilterExpression" and "sparse" options')
  compileFilter(filter)
  checkPartial(filter)
  return filter
}

/** What can be negated cannot be implied by a query: MongoDB allows only these. */
const PARTIAL_OPERATORS = new Set(['$and', '$or', '$in', '$eq', '$gt', '$gte', '$lt', '$lte', '$type', '$exists'])

function checkPartial (filter: Document): void {
  for (const [key, value] of Object.entries(filter)) {
    const isRefused = key.startsWith('$') && (!PARTIAL_OPERATORS.has(key) || (key === '$exists' && !isTrue(value)))
    if (isRefused) throw new CommandError(67, `Expression not supported in partial index: ${key}`)
    if (Array.isArray(value) && (key === '$and' || key === '$or')) value.filter(isDocument).forEach(checkPartial)
    else if (isOperators(value)) checkPartial(value)
  }
}

/** The index that is there already. Throws 85 or 86 on one that is alike but not the same. */
function sameIndex ({ indexes }: Collection, spec: Document): Index | undefined {
  const byName = indexes.find(({ name }) => name === spec.name)
  const byKey = indexes

    .find(({ spec: present }) => isSameKey(present.key, spec.key) &&
      valuesEqual(present.partialFilterExpression, spec.partialFilterExpression))
  const isId = isDocument(spec.key) && isSameKey(spec.key, { _id: 1 })
  if (isId) return indexes[0]
  if (byName !== undefined) {
    if (!isSameKey(byName.spec.key, spec.key)) {
      throw new CommandError(
        86,
        `An existing index has the same name as the requested index, with another key: ${String(spec.name)}`
      )
    }
    if (isIdentical(byName.spec, spec)) return byName
    throw new CommandError(
      isSameKind(byName.spec, spec) ? 85 : 86,
      `An equivalent index already exists with the same name but different options: ${String(spec.name)}`
    )
  }
  if (byKey !== undefined && isSameKind(byKey.spec, spec)) {
    throw new CommandError(85, `Index already exists with a different name: ${byKey.name}`)
  }
  return undefined
}

function isSameKey (a: unknown, b: unknown): boolean {
  return isDocument(a) && isDocument(b) && valuesEqual(a, b)
}

/** Options that make two indexes on a key different ones; the others only conflict. */
function isSameKind (a: Document, b: Document): boolean {
  return a.unique === b.unique && a.sparse === b.sparse &&
    valuesEqual(a.partialFilterExpression, b.partialFilterExpression)
}

async function listIndexes (request: Request): Promise<Reply> {
  const { store, namespace, connection, session } = request
  const { indexes } = store.catalog.get(namespace)
  return catalogCursor(request, namespace, indexes.map(({ spec }) => spec), { connection, session })
}

async function dropIndexes ({ body, store: { storage, catalog, maintenance }, namespace }: Request): Promise<Reply> {
  const nIndexesWas = await storage.write(() => {
    const collection = catalog.get(namespace)
    const count = collection.indexes.length
    for (const index of chosen(collection, body.index)) catalog.removeIndex(collection, index)
    return count
  })
  void maintenance.purge()
  return { nIndexesWas }
}

function chosen ({ indexes }: Collection, which: unknown): Index[] {
  const [, ...others] = indexes
  if (which === '*') return others
  const list: unknown[] = Array.isArray(which) ? which : [which]
  return list.map((one) => {
    const found = indexes.find(({ name, spec }) => typeof one === 'string' ? name === one : isSameKey(spec.key, one))
    if (found === undefined) {
      throw new CommandError(27, `index not found with name [${typeof one === 'string' ? one : JSON.stringify(one)}]`)
    }
    if (found === indexes[0]) throw new CommandError(72, 'cannot drop _id index')
    return found
  })
}

/** The commands on indexes. */
export const indexCommands: Readonly<Record<string, Command>> = { createIndexes, listIndexes, dropIndexes }
