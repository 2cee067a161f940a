import { UUID } from 'bson'
import { createHash } from 'node:crypto'
import { type Collection } from '../storage/catalog.ts'
import { type DocumentStream } from '../query/cursors.ts'
import { CommandError } from '../errors.ts'
import { compileFilter } from '../query/matcher.ts'
import { type Reply } from '../wire/reply.ts'
import { encode, isDocument, type Document } from '../values/values.ts'
import { isTrue, type Command, type Request } from '../wire/request.ts'
import { refuseCollation } from '../query/queries.ts'

/** Options that change what a collection is, and that this store does not have. */
const UNSUPPORTED_OPTIONS = ['capped', 'timeseries', 'viewOn', 'clusteredIndex', 'validator', 'expireAfterSeconds']
/** Fields of the create command that are no options of the collection. */
const GENERIC_FIELDS = new Set([
  'create', 'lsid', '$db', 'writeConcern', 'comment', 'maxTimeMS', '$readPreference', '$clusterTime', 'apiVersion',
  'txnNumber'
])

async function create (request: Request): Promise<Reply> {
  const { body, store: { storage, catalog }, database, collection, namespace } = request
  for (const option of UNSUPPORTED_OPTIONS) {
    if (body[option] !== undefined && body[option] !== false) {
      throw new CommandError(115, `${option} is not supported by the embedded store`)
    }
  }
  refuseCollation(body.collation)
  const isSet = (value: unknown) => value !== undefined && value !== false
  const isOption = ([key, value]: [string, unknown]) => !GENERIC_FIELDS.has(key) && isSet(value)
  const options = Object.fromEntries(Object.entries(body).filter(isOption))
  await storage.write(() => {
    if (catalog.find(namespace) !== undefined) throw new CommandError(48, `Collection ${namespace} already exists.`)
    catalog.ensure(database, collection, options)
  })
  return {}
}

async function drop ({ store, namespace }: Request): Promise<Reply> {
  const dropped = await dropAll(store, () => [store.catalog.get(namespace)])
  return { nIndexesWas: dropped[0]?.indexes.length ?? 0, ns: namespace }
}

async function dropDatabase ({ store, database }: Request): Promise<Reply> {
  const dropped = await dropAll(store, () => store.catalog.inDatabase(database))
  return dropped.length === 0 ? {} : { dropped: database }
}

async function dropAll (
  { storage, catalog, cursors, maintenance }: Request['store'],
  choose: () => Collection[]
): Promise<Collection[]> {
  const dropped = await storage.write(() => {
    const collections = choose()
    for (const collection of collections) catalog.remove(collection)
    return collections
  })
  for (const { namespace } of dropped) cursors.killNamespace(namespace)
  void maintenance.purge()
  return dropped
}

async function listCollections (request: Request): Promise<Reply> {
  const { body, store, database, connection, session } = request
  const filter = compileFilter(isDocument(body.filter) ? body.filter : {})
  const nameOnly = isTrue(body.nameOnly)
  const documents = store.catalog.inDatabase(database).map(describe).filter((document) => filter.test(document))
    .map((document) => nameOnly ? { name: document.name, type: document.type } : document)
  return catalogCursor(request, `${database}.$cmd.listCollections`, documents, { connection, session })
}

function describe ({ id, name, namespace, options, indexes }: Collection): Document {
  // No stored UUID: the same name after a drop is another collection, and its id differs.
  const uuid = createHash('sha256').update(`${namespace}#${id}`).digest().subarray(0, 16)
  return {
    name,
    type: 'collection',
    options,
    info: { readOnly: false, uuid: new UUID(uuid) },
    idIndex: indexes[0]?.spec
  }
}

/** A cursor over descriptions. */
export async function catalogCursor (
  request: Request,
  namespace: string,
  documents: Document[],
  owner: { connection: object, session: string | undefined }
): Promise<Reply> {
  const rest = documents[Symbol.iterator]()
  const stream: DocumentStream = {
    next: () => {
      const { value, done } = rest.next()
      return done === true ? undefined : encode(value)
    }
  }
  const { cursorId, batch } = await request.store.cursors.first(namespace, stream, Infinity, owner)
  return { batchName: 'firstBatch', cursorId, namespace, batch, fields: {} }
}

function listDatabases (request: Request): Document {
  const { body, store: { catalog, storage } } = request
  const filter = compileFilter(isDocument(body.filter) ? body.filter : {})
  const names = [...new Set(catalog.all().map(({ database }) => database))].sort()
  const totalSize = storage.fileBytes
  const databases = names.map((name) => ({ name, sizeOnDisk: totalSize, empty: false }))
    .filter((database) => filter.test(database))
  if (isTrue(body.nameOnly)) return { databases: databases.map(({ name }) => ({ name })) }
  return { databases, totalSize, totalSizeMb: Math.ceil(totalSize / 1024 / 1024) }
}

/** The commands on databases and collections. */
export const catalogCommands: Readonly<Record<string, Command>> = {
  create,
  drop,
  dropDatabase,
  listCollections,
  listDatabases
}
