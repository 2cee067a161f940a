import { Double } from 'bson'
import { Aggregator } from 'mingo/aggregator'
import { CommandError } from '../errors.ts'
import { rejectMingo, toPlain, toPlainDocument, toPlainExpression, type Variables } from '../aggregation/expressions.ts'
import { stageOptions } from '../aggregation/pipeline-stages.ts'
import { isDocument, isInt32, isLong, setField, type Document } from '../values/values.ts'

const STAGES = new Set(['$addFields', '$set', '$project', '$unset', '$replaceRoot', '$replaceWith'])

/** Compiles an update given as a pipeline. Fields it does not touch keep their number types. */
export function compilePipelineUpdate (stages: unknown[], variables: Variables): (document: Document) => Document {
  const plain = stages.map((stage) => {
    const [name, ...others] = isDocument(stage) ? Object.keys(stage) : []
    if (name === undefined || others.length > 0) {
      throw new CommandError(40323, 'A pipeline stage specification object must contain exactly one field.')
    }
    if (!STAGES.has(name)) throw new CommandError(72, `${name} is not allowed to be used within an update`)
    return toPlainExpression(stage, variables) as Document
  })
  const options = stageOptions(variables)
  const aggregator = rejectMingo(() => new Aggregator(plain, options))
  return (document) => {
    const [result] = rejectMingo(() => aggregator.run([toPlainDocument(document)]))
    if (!isDocument(result)) throw new CommandError(2, 'The update pipeline must give a document')
    return withTypes(document, result) as Document
  }
}

/** mingo calculates with JS numbers: what came out as it went in gets its stored number type back. */
export function withTypes (before: unknown, after: unknown): unknown {
  if (isLong(before) || before instanceof Double) return toPlain(before) === after ? before : after
  if (Array.isArray(before) && Array.isArray(after)) return after.map((value, i) => withTypes(before[i], value))
  if (!isDocument(after)) {
    return typeof after === 'number' && typeof before === 'number' && !isInt32(before) ? asDouble(after) : after
  }
  const result: Document = {}
  for (const key of Object.keys(after)) {
    const former = isDocument(before) ? before[key] : undefined
    if (after[key] !== undefined) setField(result, key, withTypes(former, after[key]))
  }
  return result
}

/** A field that was a double stays one. */
function asDouble (value: number): number | Double {
  return isInt32(value) ? new Double(value) : value
}
