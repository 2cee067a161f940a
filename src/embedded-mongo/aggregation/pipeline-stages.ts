import { Context, evalExpr } from 'mingo/core'
import { Lazy, type Iterator } from 'mingo/lazy'
import * as pipelineOperators from 'mingo/operators/pipeline'
import * as windowOperators from 'mingo/operators/window'
import { type Options } from 'mingo/types'
import { CommandError } from '../errors.ts'
import { expressionContext, mingoOptions, type Variables } from './expressions.ts'
import { compileFilter } from '../query/matcher.ts'
import { parseSort } from '../query/planner.ts'
import { compileProjection } from '../query/projection.ts'
import { Sorter, sortKey } from '../query/sorting.ts'
import { clone, getField, isDocument, isNumeric, setField, toNumber, type Document } from '../values/values.ts'

/** Reads other collections of the database for $lookup, $unionWith and $graphLookup; the documents are plain. */
export interface CollectionSource {
  find: (collection: string, filter: Document) => Iterable<Document>
  aggregate: (collection: string, pipeline: unknown[], variables: Variables) => Iterable<Document>
}

type Stage = (input: Iterator, argument: unknown, options: Options) => Iterator

/** Stages that would write, or belong to a cluster. */
const REFUSED = new Set(['$out', '$merge', '$changeStream', '$function'])

/** Options for mingo with our stages in front of its own, which are wrong or not lazy where ours are listed. */
export function stageOptions (variables: Variables, source?: CollectionSource): Partial<Options> {
  const context = Context.init()
    .addPipelineOps(ownStages(variables, source))
    .addPipelineOps(pipelineOperators)
    .addWindowOps(windowOperators)
  const collectionResolver = (name: string) => source === undefined ? [] : [...source.find(name, {})]
  return { ...mingoOptions(variables), collectionResolver, context: Context.from(context, expressionContext) }
}

/** Checks a stage's form and name. Throws 40323, 40324 as MongoDB does. */
export function checkStage (stage: unknown): [name: string, argument: unknown] {
  const entries = isDocument(stage) ? Object.entries(stage) : []
  const [entry, ...others] = entries
  if (entry === undefined || others.length > 0) {
    throw new CommandError(40323, 'A pipeline stage specification object must contain exactly one field.')
  }
  if (REFUSED.has(entry[0])) throw new CommandError(115, `${entry[0]} is not supported by the embedded store`)
  if (!(entry[0] in pipelineOperators)) throw new CommandError(40324, `Unrecognized pipeline stage name: '${entry[0]}'`)
  if (entry[0] === '$limit' || entry[0] === '$skip') checkCount(...entry)
  return entry
}

function checkCount (name: string, argument: unknown): void {
  const count = isNumeric(argument) ? toNumber(argument) : NaN
  if (!Number.isInteger(count) || count < 0) {
    throw new CommandError(2, `invalid argument to ${name} stage: Expected a non-negative number`)
  }
  if (name === '$limit' && count === 0) throw new CommandError(15958, 'the limit must be positive')
}

function ownStages (variables: Variables, source: CollectionSource | undefined): Record<string, Stage> {
  const addFields: Stage = (input, argument, options) => {
    const specification = documentArgument('$addFields', argument)
    return input.map((document: Document) => withFields(document, specification, document, options))
  }
  return {
    $addFields: addFields,
    $set: addFields,
    $match: (input, argument) => {
      const filter = compileFilter(documentArgument('$match', argument), variables)
      return input.filter((document: Document) => filter.test(document))
    },
    $project: (input, argument) => project(input, documentArgument('$project', argument), variables),
    $unset: (input, argument) => {
      const paths = [argument].flat().map((path) => [String(path), 0])
      return project(input, Object.fromEntries(paths) as Document, variables)
    },
    $sort: (input, argument) => input.transform((documents: Document[]) => Lazy(sorted(documents, argument))),
    $limit: (input, argument) => limited(input, toNumber(argument as number)),
    $count: (input, argument) => input.transform(({ length }: Document[]) => {
      return Lazy(length === 0 ? [] : [{ [String(argument)]: length }])
    }),
    $lookup: (input, argument, options) => {
      return lookup(input, documentArgument('$lookup', argument), options, variables, source)
    },
    $unionWith: (input, argument) => unionWith(input, argument, variables, source)
  }
}

function documentArgument (name: string, argument: unknown): Document {
  if (!isDocument(argument)) {
    throw new CommandError(name === '$match' ? 15959 : 40272, `${name} specification must be an object`)
  }
  return argument
}

/** Nested specifications merge into documents and go through arrays; mingo replaces them. */
function withFields (target: unknown, specification: Document, root: Document, options: Options): unknown {
  if (Array.isArray(target)) return target.map((element) => withFields(element, specification, root, options))
  const result: Document = isDocument(target) ? { ...target } : {}
  for (const [path, value] of Object.entries(specification)) {
    const [name = '', ...rest] = path.split('.')
    const nested = rest.length > 0 ? { [rest.join('.')]: value } : value
    const isNested = isDocument(nested) && Object.keys(nested).length > 0 && !Object.keys(nested)[0]?.startsWith('$')
    const next = isNested ? withFields(getField(result, name), nested, root, options) : evaluate(root, nested, options)
    if (next === undefined) delete result[name]
    else setField(result, name, next)
  }
  return result
}

function evaluate (document: Document, expression: unknown, options: Options): unknown {
  return clone(evalExpr(document, expression, options))
}

function project (input: Iterator, specification: Document, variables: Variables): Iterator {
  if (Object.keys(specification).length === 0) {
    throw new CommandError(51272, 'projection specification must have at least one field')
  }
  const projection = compileProjection(specification, {}, variables)
  return projection === undefined ? input : input.map((document: Document) => projection(document))
}

function sorted (documents: Document[], sort: unknown): Document[] {
  const fields = parseSort(sort)
  const sorter = new Sorter<Document>(Infinity, () => 0)
  for (const document of documents) sorter.add(sortKey(document, fields), document)
  return sorter.finish()
}

/** mingo's would read its input to the end. */
function limited (input: Iterator, count: number): Iterator {
  let left = count
  return Lazy({ next: () => left-- > 0 ? input.next() : { done: true } })
}

function lookup (
  input: Iterator,
  argument: Document,
  options: Options,
  variables: Variables,
  source: CollectionSource | undefined
): Iterator {
  const { from, localField, foreignField, pipeline, let: bindings, as } = argument
  if (typeof from !== 'string' || typeof as !== 'string' || source === undefined) {
    throw new CommandError(9, '$lookup needs from and as')
  }
  const isPaired = (localField === undefined) === (foreignField === undefined)
  if (!isPaired || (localField === undefined && !Array.isArray(pipeline))) {
    throw new CommandError(9, '$lookup requires both or neither of localField and foreignField, or a pipeline')
  }
  const stages: unknown[] = Array.isArray(pipeline) ? pipeline : []
  return input.map((document: Document) => {
    const join = typeof localField === 'string' ? joinFilter(document, localField, String(foreignField)) : []
    const bound = isDocument(bindings) ? evalExpr(document, bindings, options) as Variables : {}
    const found = source.aggregate(from, [...join, ...stages], { ...variables, ...bound })
    const target = { ...document }
    setNested(target, as.split('.'), [...found])
    return target
  })
}

function setNested (target: Document, [name = '', ...rest]: string[], value: unknown): void {
  if (rest.length === 0) return setField(target, name, value)
  const child = getField(target, name)
  const next = isDocument(child) ? { ...child } : {}
  setField(target, name, next)
  setNested(next, rest, value)
}

/** The join as a $match, which an index can serve; a missing local field joins with null and missing. */
function joinFilter (document: Document, localField: string, foreignField: string): Document[] {
  const values = valuesAt(document, localField.split('.'))
  const [only] = values
  const condition = values.length === 0 ? { $in: [null] } : values.length === 1 ? { $eq: only } : { $in: values }
  return [{ $match: { [foreignField]: condition } }]
}

function valuesAt (value: unknown, parts: string[]): unknown[] {
  if (Array.isArray(value)) {
    return value

      .flatMap((element: unknown) => {
        if (parts.length === 0) return [element]
        return isDocument(element) ? valuesAt(element, parts) : []
      })
  }
  const [name, ...rest] = parts
  if (name === undefined) return value === undefined ? [null] : [value]
  return isDocument(value) ? valuesAt(getField(value, name), rest) : [null]
}

function unionWith (
  input: Iterator,
  argument: unknown,
  variables: Variables,
  source: CollectionSource | undefined
): Iterator {
  const { coll, pipeline } = typeof argument === 'string'
    ? { coll: argument, pipeline: [] }
    : documentArgument('$unionWith', argument)
  if (typeof coll !== 'string' || source === undefined) throw new CommandError(9, '$unionWith needs a collection')
  const stages: unknown[] = Array.isArray(pipeline) ? pipeline : []
  return Lazy(function * (): Generator<unknown> {
    for (let item = input.next(); !item.done; item = input.next()) yield item.value
    yield * source.aggregate(coll, stages, variables)
  }())
}
