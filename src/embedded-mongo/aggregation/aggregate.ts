import { Aggregator } from 'mingo/aggregator'
import { type DocumentStream } from '../query/cursors.ts'
import { CommandError } from '../errors.ts'
import { rejectMingo, toPlainDocument, toPlainExpression, type Variables } from './expressions.ts'
import { checkStage, stageOptions, type CollectionSource } from './pipeline-stages.ts'
import { parseQuery, type Execution, type Queries, type Query } from '../query/queries.ts'
import { documentOf } from '../storage/records.ts'
import { PAUSE, type Found } from '../query/scan.ts'
import { countValue, encode, isDocument, toNumber, type Document } from '../values/values.ts'

/** Bytes a pipeline whose stages must see everything ($group, $sort …) may read. */
const MAX_BLOCKING_BYTES = 512 * 1024 * 1024

/** A pipeline taken apart: what the planner can answer, and the stages left for mingo. */
interface Split {
  query: Document
  rest: Document[]
}

/** Runs aggregation pipelines: leading $match, $sort, $skip and $limit as a query, the rest by mingo. */
export class Aggregation {
  private readonly queries: Queries

  constructor (queries: Queries) {
    this.queries = queries
  }

  /** A pipeline's documents as bytes. `options`: hint, maxTimeMS. */
  stream (
    database: string,
    collection: string | undefined,
    pipeline: unknown[],
    options: Document,
    variables: Variables
  ): DocumentStream & Partial<Execution> {
    pipeline.forEach(checkStage)
    const { query, rest } = split(pipeline)
    if (collection === undefined) {
      if (rest[0] === undefined || !('$documents' in rest[0])) {
        throw new CommandError(73, 'a pipeline on a database must start with $documents')
      }
      return encoded(this.stages(database, [], rest, variables))
    }
    const namespace = `${database}.${collection}`
    const { hint, maxTimeMS, collation } = options
    const parsed = parseQuery({ ...query, hint, maxTimeMS, collation }, 'filter', variables)
    if (rest.length === 0) return this.queries.stream(namespace, parsed)
    const counter = counterOf(rest)
    if (counter !== undefined) return this.counted(namespace, parsed, counter)
    const results = this.queries.run(namespace, parsed)
    const source = rest.every(isStreaming) ? eager(results.next) : bounded(results.next)
    return { ...results, ...encoded(this.stages(database, source, rest, variables)) }
  }

  /** A pipeline's documents, plain, for a stage of another pipeline. */
  * plain (database: string, collection: string, pipeline: unknown[], variables: Variables): Generator<Document> {
    pipeline.forEach(checkStage)
    const { query, rest } = split(pipeline)
    const results = this.queries.run(`${database}.${collection}`, parseQuery(query, 'filter', variables))
    yield * this.stages(database, eager(results.next), rest, variables)
  }

  /** A pipeline that only counts (countDocuments) decodes nothing it need not. */
  private counted (namespace: string, query: Query, counter: Counter): DocumentStream & Execution {
    const results = this.queries.run(namespace, query)
    const isWhole = query.skip === 0 && query.limit === 0
    let count = isWhole ? this.queries.countExactly(namespace, query) : undefined
    let seen = 0
    let isDone = false
    const next = () => {
      while (count === undefined) {
        const found = results.next()
        if (found === PAUSE) return PAUSE
        if (found === undefined) count = seen
        else seen++
      }
      if (isDone || count === 0) return undefined
      isDone = true
      return encode({ ...counter.fields, [counter.name]: countValue(count) })
    }
    return { ...results, next }
  }

  private * stages (
    database: string,
    source: Iterable<Document>,
    rest: Document[],
    variables: Variables
  ): Generator<Document> {
    if (rest.length === 0) {
      yield * source
      return
    }
    const stages = rest.map((stage) => '$match' in stage ? stage : toPlainExpression(stage, variables) as Document)
    const options = stageOptions(variables, this.source(database))
    const output = rejectMingo(() => new Aggregator(stages, options).stream(source))
    while (true) {
      const { value, done } = rejectMingo(() => output.next())
      if (done) return
      if (!isDocument(value)) throw new CommandError(2, 'a pipeline stage gave something that is no document')
      yield value
    }
  }

  private source (database: string): CollectionSource {
    return {
      find: (collection, filter) => this.plain(database, collection, [{ $match: filter }], {}),
      aggregate: (collection, pipeline, variables) => this.plain(database, collection, pipeline, variables)
    }
  }
}

const STREAMING = new Set([
  '$match', '$addFields', '$set', '$project', '$unset', '$unwind', '$limit', '$skip', '$lookup', '$replaceRoot',
  '$replaceWith', '$unionWith'
])

function isStreaming (stage: Document): boolean {
  return STREAMING.has(Object.keys(stage)[0] ?? '')
}

interface Counter {
  name: string
  /** What stands before the count: $group's `_id`. */
  fields: Document
}

function counterOf (rest: Document[]): Counter | undefined {
  const [stage, ...others] = rest
  if (stage === undefined || others.length > 0) return undefined
  if (typeof stage.$count === 'string' && /^[^$.]+$/.test(stage.$count)) return { name: stage.$count, fields: {} }
  if (!isDocument(stage.$group)) return undefined
  const { _id, ...fields } = stage.$group
  const [entry, ...more] = Object.entries(fields)
  const isConstant = _id === null || typeof _id === 'number'
  const isCount = entry !== undefined && isDocument(entry[1]) && Object.keys(entry[1]).length === 1 &&
    entry[1].$sum === 1
  return isConstant && isCount && more.length === 0 ? { name: entry[0], fields: { _id } } : undefined
}

/** The leading stages as a query: any $match, one $sort, then $skip and $limit. */
function split (pipeline: unknown[]): Split {
  const stages = pipeline.filter(isDocument)
  const matches: unknown[] = []
  const query: Document = {}
  let at = 0
  while (stages[at] !== undefined && '$match' in (stages[at] ?? {})) matches.push(stages[at++]?.$match)
  if (matches.some((match) => !isDocument(match))) {
    throw new CommandError(15959, 'the match filter must be an expression in an object')
  }
  if (isDocument(stages[at]?.$sort)) query.sort = stages[at++]?.$sort
  if (stages[at]?.$skip !== undefined) query.skip = stages[at++]?.$skip
  const limit = stages[at]?.$limit as number | undefined
  if (limit !== undefined && toNumber(limit) > 0) {
    query.limit = limit
    at++
  }
  query.filter = matches.length === 1 ? matches[0] : matches.length === 0 ? {} : { $and: matches }
  return { query, rest: stages.slice(at) }
}

/** A scan as mingo's input; mingo cannot wait, so pauses are passed over. */
function * eager (next: () => Found | typeof PAUSE | undefined): Generator<Document> {
  for (let found = next(); found !== undefined; found = next()) {
    if (found !== PAUSE) yield toPlainDocument(documentOf(found))
  }
}

function * bounded (next: () => Found | typeof PAUSE | undefined): Generator<Document> {
  let bytes = 0
  const counted = () => {
    const found = next()
    if (found !== undefined && found !== PAUSE) bytes += found.bytes.length
    if (bytes > MAX_BLOCKING_BYTES) {
      throw new CommandError(292, `the pipeline needs more than ${MAX_BLOCKING_BYTES} bytes of memory`)
    }
    return found
  }
  yield * eager(counted)
}

function encoded (documents: Generator<Document>): DocumentStream {
  let count = 0
  return {
    next: () => {
      // A pause now and then, so that a long stream of results lets others run.
      if (++count % 64 === 0) return PAUSE
      const result = documents.next()
      return result.done === true ? undefined : encode(result.value)
    }
  }
}

/** Whether the aggregation's query part can be explained. */
export function queryOf (pipeline: unknown[], variables: Variables): Query {
  return parseQuery(split(pipeline).query, 'filter', variables)
}
