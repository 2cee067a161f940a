import { compareValues } from '../values/compare.ts'
import { DEFAULT_BATCH, drain, type DocumentStream } from '../query/cursors.ts'
import { CommandError } from '../errors.ts'
import { encodeValue } from '../storage/key-encoding.ts'
import { leafValues } from '../query/paths.ts'
import { countOption, parseQuery } from '../query/queries.ts'
import { documentOf } from '../storage/records.ts'
import { type CursorReply, type Reply } from '../wire/reply.ts'
import { PAUSE } from '../query/scan.ts'
import { MAX_DOCUMENT_BYTES, countValue, isDocument, isNumeric, toNumber, type Document } from '../values/values.ts'
import { explain } from './explain-command.ts'
import { cursorId, type Command, type Request } from '../wire/request.ts'

async function cursorReply (
  request: Request,
  namespace: string,
  stream: DocumentStream,
  batchSize: number,
  single = false
): Promise<CursorReply> {
  const { store, connection, session } = request
  const { cursorId, batch } = await store.cursors.first(namespace, stream, batchSize, { connection, session }, single)
  return { batchName: 'firstBatch', cursorId, namespace, batch, fields: {} }
}

function batchSizeOf (value: unknown, otherwise: number): number {
  return value === undefined || value === null ? otherwise : countOption('batchSize', value)
}

async function find (request: Request): Promise<Reply> {
  const { body, store, namespace } = request
  const query = parseQuery(body, 'filter', request.variables)
  // A negative limit is the old way to ask for a single batch.
  const isSingle = request.flag('singleBatch') || (isNumeric(body.limit) && toNumber(body.limit) < 0)
  const isTailable = request.flag('tailable')
  if (isTailable) throw new CommandError(2, 'tailable cursor requested on a non-capped collection')
  const stream = store.queries.stream(namespace, query)
  return cursorReply(request, namespace, stream, batchSizeOf(body.batchSize, DEFAULT_BATCH), isSingle)
}

async function getMore (request: Request): Promise<Reply> {
  const { body, store, database } = request
  const namespace = `${database}.${String(body.collection)}`
  const size = batchSizeOf(body.batchSize, 0)
  const wanted = size === 0 ? Infinity : size
  const { cursorId: id, batch } = await store.cursors.more(cursorId(body.getMore), namespace, wanted)
  return { batchName: 'nextBatch', cursorId: id, namespace, batch, fields: {} }
}

function killCursors ({ body, store, namespace }: Request): Document {
  const ids = Array.isArray(body.cursors) ? body.cursors : []
  const killed = ids.filter((id) => store.cursors.kill(cursorId(id), namespace))
  return {
    cursorsKilled: killed,
    cursorsNotFound: ids.filter((id) => !killed.includes(id)),
    cursorsAlive: [],
    cursorsUnknown: []
  }
}

async function aggregate (request: Request): Promise<Reply> {
  const { body, store, database, variables } = request
  const { pipeline, cursor } = body
  if (!Array.isArray(pipeline)) throw new CommandError(14, '\'pipeline\' option must be specified as an array')
  if (request.flag('explain')) return explain(request)
  if (!isDocument(cursor)) {
    throw new CommandError(9, 'The \'cursor\' option is required, except for aggregate with the explain argument')
  }
  const onDatabase = isNumeric(body.aggregate)
  const collection = onDatabase ? undefined : request.collection
  const stream = store.aggregation.stream(database, collection, pipeline, body, variables)
  const namespace = `${database}.${collection ?? '$cmd.aggregate'}`
  return cursorReply(request, namespace, stream, batchSizeOf(cursor.batchSize, DEFAULT_BATCH))
}

async function count (request: Request): Promise<Reply> {
  const { body, store, namespace } = request
  const query = parseQuery(body, 'query', request.variables)
  const exact = store.queries.countExactly(namespace, query)
  if (exact !== undefined) {
    const left = Math.max(0, exact - query.skip)
    return { n: countValue(query.limit === 0 ? left : Math.min(left, query.limit)) }
  }
  return { n: countValue(await drain(store.queries.stream(namespace, { ...query, projection: undefined }))) }
}

async function distinct (request: Request): Promise<Reply> {
  const { body, store, namespace } = request
  const { key } = body
  if (typeof key !== 'string') {
    throw new CommandError(14, 'BSON field \'distinct.key\' is the wrong type, expected type \'string\'')
  }
  const results = store.queries.run(namespace, parseQuery(body, 'query', request.variables))
  const values = new DistinctValues()
  await drain({
    next: () => {
      const found = results.next()
      if (found === undefined || found === PAUSE) return found
      for (const value of leafValues(documentOf(found), key.split('.'))) values.add(value)
      return found.bytes
    }
  })
  return { values: values.sorted() }
}

/** Values by what they equal, up to the size of a document. */
class DistinctValues {
  private readonly values = new Map<string, unknown>()
  private bytes = 0

  /** Throws CommandError 17217 when there are too many. */
  add (value: unknown): void {
    const key = encodeValue(value).toString('latin1')
    if (this.values.has(key)) return
    this.values.set(key, value)
    this.bytes += key.length
    if (this.bytes > MAX_DOCUMENT_BYTES) throw new CommandError(17217, 'distinct too big, 16mb cap')
  }

  sorted (): unknown[] {
    return [...this.values.values()].sort(compareValues)
  }
}

/** The commands that read. */
export const queryCommands: Readonly<Record<string, Command>> = {
  find,
  getMore,
  killCursors,
  aggregate,
  count,
  distinct,
  explain
}
