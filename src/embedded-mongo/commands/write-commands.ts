import { CommandError } from '../errors.ts'
import { type Variables } from '../aggregation/expressions.ts'
import { compileProjection } from '../query/projection.ts'
import { parseQuery } from '../query/queries.ts'
import { type Reply } from '../wire/reply.ts'
import { isDocument, isNumeric, toNumber, type Document } from '../values/values.ts'
import { type UpdateResult, type UpdateStatement } from '../update/writes.ts'
import { MAX_WRITE_BATCH } from './handshake-commands.ts'
import { isTrue, type Command, type RawDocument, type Request } from '../wire/request.ts'
import { runSteps, writeErrors, type Step } from './write-steps.ts'

function batch (request: Request, name: string): RawDocument[] {
  const documents = request.documents(name)
  if (documents.length === 0 || documents.length > MAX_WRITE_BATCH) {
    throw new CommandError(
      16,
      `Write batch sizes must be between 1 and ${MAX_WRITE_BATCH}. Got ${documents.length} operations.`
    )
  }
  return documents
}

function isOrdered ({ body }: Request): boolean {
  return body.ordered === undefined || isTrue(body.ordered)
}

async function insert (request: Request): Promise<Reply> {
  const { store: { writes, storage }, database, collection } = request
  const documents = batch(request, 'documents')
  let n = 0
  const steps = documents.map(({ bytes, document }): Step => ({
    inside: () => {
      writes.insert(database, collection, document, bytes)
      n++
    }
  }))
  const errors = await runSteps(storage, steps, isOrdered(request))
  return { n, ...writeErrors(errors) }
}

/** Reads an update statement. `names`: what the command calls the filter and the update. */
export function updateStatement (
  body: Document,
  filterName: string,
  updateName: string,
  variables: Variables,
  now: Date
): UpdateStatement {
  const scope = {
    ...variables,
    ...isDocument(body.c) ? body.c : {},
    ...isDocument(body.constants) ? body.constants : {}
  }
  const update = body[updateName]
  const { sort, hint, maxTimeMS, collation } = body
  if (update === undefined) throw new CommandError(40414, `BSON field '${updateName}' is missing but a required field`)
  return {
    query: parseQuery({ [filterName]: body[filterName], sort, hint, maxTimeMS, collation }, filterName, scope),
    update,
    multi: isTrue(body.multi),
    upsert: isTrue(body.upsert),
    arrayFilters: body.arrayFilters,
    variables: scope,
    now
  }
}

async function update (request: Request): Promise<Reply> {
  const { store: { writes, storage }, database, collection, variables, now } = request
  const upserted: Document[] = []
  let n = 0
  let nModified = 0
  const count = (index: number, { matched, modified, upsertedId }: UpdateResult) => {
    n += upsertedId === undefined ? matched : 1
    nModified += modified
    if (upsertedId !== undefined) upserted.push({ index, _id: upsertedId })
  }
  const steps = batch(request, 'updates').map(({ document }, index): Step => {
    const parse = () => updateStatement(document, 'q', 'u', variables, now)
    return isTrue(document.multi)
      ? { alone: async () => count(index, await writes.updateMany(database, collection, parse())) }
      : { inside: () => count(index, writes.updateOne(database, collection, parse())) }
  })
  const errors = await runSteps(storage, steps, isOrdered(request))
  return { n, nModified, ...(upserted.length > 0 ? { upserted } : {}), ...writeErrors(errors) }
}

async function remove (request: Request): Promise<Reply> {
  const { store: { writes, storage }, namespace, variables } = request
  let n = 0
  const steps = batch(request, 'deletes').map(({ document }): Step => {
    const parse = () => parseQuery({ ...document, limit: undefined }, 'q', variables)
    const limit = document.limit
    if (!isNumeric(limit) || (toNumber(limit) !== 0 && toNumber(limit) !== 1)) {
      const refusal = new CommandError(9, `The limit field in delete objects must be 0 or 1. Got ${String(limit)}`)
      return { inside: () => { throw refusal } }
    }
    return toNumber(limit) === 0
      ? { alone: async () => { n += await writes.deleteMany(namespace, parse()) } }
      : { inside: () => { n += writes.deleteOne(namespace, parse()) === undefined ? 0 : 1 } }
  })
  const errors = await runSteps(storage, steps, isOrdered(request))
  return { n, ...writeErrors(errors) }
}

async function findAndModify (request: Request): Promise<Reply> {
  const { body, store: { writes, storage }, database, collection, namespace, variables, now } = request
  const shape = compileProjection(body.fields ?? body.projection, isDocument(body.query) ? body.query : {}, variables)
  const shown = (document: Document | undefined) => document === undefined ? null : shape?.(document) ?? document
  if (request.flag('remove')) {
    if (body.update !== undefined || request.flag('new') || request.flag('upsert')) {
      throw new CommandError(9, 'Cannot specify both an update, new or upsert and remove=true')
    }
    const query = parseQuery({ ...body, projection: undefined, fields: undefined }, 'query', variables)
    const removed = await storage.write(() => writes.deleteOne(namespace, query))
    return { lastErrorObject: { n: removed === undefined ? 0 : 1 }, value: shown(removed) }
  }
  if (body.update === undefined) throw new CommandError(9, 'Either an update or remove=true must be specified')
  const statement = updateStatement(body, 'query', 'update', variables, now)
  const { before, after, upsertedId } = await storage.write(() => writes.modify(database, collection, statement))
  const isUpsert = upsertedId !== undefined
  const n = before === undefined && !isUpsert ? 0 : 1
  return {
    lastErrorObject: { n, updatedExisting: before !== undefined, ...(isUpsert ? { upserted: upsertedId } : {}) },
    value: shown(request.flag('new') ? after ?? before : before)
  }
}

/** The commands that write documents. */
export const writeCommands: Readonly<Record<string, Command>> = {
  insert,
  update,
  delete: remove,
  findAndModify,
  findandmodify: findAndModify
}
