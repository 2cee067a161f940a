import { type DocumentStream } from '../query/cursors.ts'
import { CommandError } from '../errors.ts'
import { parseQuery, countOption } from '../query/queries.ts'
import { type Reply } from '../wire/reply.ts'
import { encode, getField, isDocument, isNumeric, toNumber, type Document } from '../values/values.ts'
import { MAX_WRITE_BATCH } from './handshake-commands.ts'
import { isTrue, type Command, type Request } from '../wire/request.ts'
import { runSteps, type Step } from './write-steps.ts'
import { updateStatement } from './write-commands.ts'

interface Namespace {
  database: string
  collection: string
}

/** What the operations did together, and each one's result. */
interface Tally {
  nInserted: number
  nMatched: number
  nModified: number
  nUpserted: number
  nDeleted: number
}

/** MongoDB 8's bulk write over several collections. */
async function bulkWrite (request: Request): Promise<Reply> {
  const { body, store, connection, session } = request
  const namespaces = request.documents('nsInfo').map(({ document }) => parseNamespace(document.ns))
  const operations = request.documents('ops').map(({ document }) => document)
  if (operations.length === 0 || operations.length > MAX_WRITE_BATCH) {
    throw new CommandError(
      16,
      `Write batch sizes must be between 1 and ${MAX_WRITE_BATCH}. Got ${operations.length} operations.`
    )
  }
  const tally: Tally = { nInserted: 0, nMatched: 0, nModified: 0, nUpserted: 0, nDeleted: 0 }
  const results: Document[] = []
  const steps = operations

    .map((operation, idx) => {
      const report = (result: Document) => results.push({ ok: 1, idx, ...result })
      return step(request, namespaces, operation, report, tally)
    })
  const isOrdered = body.ordered === undefined || isTrue(body.ordered)
  const errors = await runSteps(store.storage, steps, isOrdered)
  const failures = errors.map(({ index, error }) => ({
    ok: 0,
    idx: index,
    code: error.code,
    errmsg: error.message,
    n: 0,
    ...error.details
  }))
  const all = isTrue(body.errorsOnly)
    ? failures
    : [...results, ...failures].sort((a, b) => a.idx as number - (b.idx as number))
  const size = isDocument(body.cursor) && body.cursor.batchSize !== undefined
    ? countOption('batchSize', body.cursor.batchSize)
    // As MongoDB: what the operations did fits into the reply.
    : MAX_WRITE_BATCH
  const namespace = 'admin.$cmd.bulkWrite'
  const { cursorId, batch } = await store.cursors.first(namespace, streamOf(all), size, { connection, session })
  return { batchName: 'firstBatch', cursorId, namespace, batch, fields: { nErrors: errors.length, ...tally } }
}

function parseNamespace (ns: unknown): Namespace {
  const [, database, collection] = /^([^.]+)\.(.+)$/.exec(String(ns)) ?? []
  if (database === undefined || collection === undefined) {
    throw new CommandError(73, `Invalid namespace specified: ${String(ns)}`)
  }
  return { database, collection }
}

function streamOf (documents: Document[]): DocumentStream {
  const rest = documents[Symbol.iterator]()
  return {
    next: () => {
      const { value, done } = rest.next()
      return done === true ? undefined : encode(value)
    }
  }
}

function step (
  request: Request,
  namespaces: Namespace[],
  operation: Document,
  report: (result: Document) => void,
  tally: Tally
): Step {
  const [kind = ''] = Object.keys(operation)
  const at = operation[kind]
  const target = isNumeric(at) ? namespaces[toNumber(at)] : undefined
  if (target === undefined) {
    return { inside: () => { throw new CommandError(2, `BulkWrite ops entry '${kind}' has an invalid nsInfo index.`) } }
  }
  switch (kind) {
    case 'insert': return insertStep(request, target, operation, report, tally)
    case 'update': return updateStep(request, target, operation, report, tally)
    case 'delete': return deleteStep(request, target, operation, report, tally)
  }
  return { inside: () => { throw new CommandError(9, `Unrecognized bulkWrite operation: ${kind}`) } }
}

function insertStep (
  { store: { writes } }: Request,
  { database, collection }: Namespace,
  { document }: Document,
  report: (result: Document) => void,
  tally: Tally
): Step {
  return {
    inside: () => {
      if (!isDocument(document)) throw new CommandError(14, 'an insert needs a document')
      writes.insert(database, collection, document)
      tally.nInserted++
      report({ n: 1 })
    }
  }
}

function updateStep (
  request: Request,
  { database, collection }: Namespace,
  operation: Document,
  report: (result: Document) => void,
  tally: Tally
): Step {
  const { store: { writes }, variables, now } = request
  const parse = () => updateStatement(operation, 'filter', 'updateMods', variables, now)
  const count = ({ matched, modified, upsertedId }: { matched: number, modified: number, upsertedId?: unknown }) => {
    const isUpsert = upsertedId !== undefined
    tally.nMatched += matched
    tally.nModified += modified
    tally.nUpserted += isUpsert ? 1 : 0
    report({ n: isUpsert ? 1 : matched, nModified: modified, ...(isUpsert ? { upserted: { _id: upsertedId } } : {}) })
  }
  return isTrue(getField(operation, 'multi'))
    ? { alone: async () => count(await writes.updateMany(database, collection, parse())) }
    : { inside: () => count(writes.updateOne(database, collection, parse())) }
}

function deleteStep (
  { store: { writes }, variables }: Request,
  { database, collection }: Namespace,
  operation: Document,
  report: (result: Document) => void,
  tally: Tally
): Step {
  const namespace = `${database}.${collection}`
  const parse = () => parseQuery(operation, 'filter', variables)
  const count = (n: number) => {
    tally.nDeleted += n
    report({ n })
  }
  return isTrue(operation.multi)
    ? { alone: async () => count(await writes.deleteMany(namespace, parse())) }
    : { inside: () => count(writes.deleteOne(namespace, parse()) === undefined ? 0 : 1) }
}

/** The client-level bulk write. */
export const bulkWriteCommands: Readonly<Record<string, Command>> = { bulkWrite }
