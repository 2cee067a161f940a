import { BSONRegExp, Double } from 'bson'
import { Context, evalExpr } from 'mingo/core'
import * as accumulators from 'mingo/operators/accumulator'
import * as expressionOperators from 'mingo/operators/expression'
import { type Options } from 'mingo/types'
import { CommandError } from '../errors.ts'
import { compileRegExp } from '../query/regex.ts'
import { correctedExpressions } from './expression-corrections.ts'
import { isDocument, isLong, setField, type Document } from '../values/values.ts'

/** Values for `$$name` in expressions; `NOW` is the command's time. */
export type Variables = Record<string, unknown>

/** Operators for expressions: ours first, then mingo's. */
export const expressionContext = Context.init()
  .addExpressionOps(correctedExpressions)
  .addExpressionOps(expressionOperators)
  .addAccumulatorOps(accumulators)

/**
 * A value as mingo computes with it: numbers are JS numbers. An int64 beyond 2^53 and a decimal keep their class: mingo
 * compares and passes them on but cannot calculate with them.
 */
export function toPlain (value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value
  if (value instanceof Double) return value.value
  if (isLong(value)) return Number.isSafeInteger(value.toNumber()) ? value.toNumber() : value
  if (value instanceof BSONRegExp) return compileRegExp(value.pattern, value.options)
  if (Array.isArray(value)) return value.map(toPlain)
  return isDocument(value) ? toPlainDocument(value) : value
}

/** A document as mingo computes with it. */
export function toPlainDocument (document: Document): Document {
  const plain: Document = {}
  for (const key of Object.keys(document)) setField(plain, key, toPlain(document[key]))
  return plain
}

/** An expression or stage as mingo takes it; `$$NOW` is bound here, since mingo would read the clock at each use. */
export function toPlainExpression (expression: unknown, variables: Variables): unknown {
  if (expression === '$$NOW') return variables.NOW
  if (Array.isArray(expression)) return expression.map((one) => toPlainExpression(one, variables))
  if (!isDocument(expression)) return toPlain(expression)
  const plain: Document = {}
  for (const [key, value] of Object.entries(expression)) {
    setField(plain, key, key === '$literal' ? toPlain(value) : toPlainExpression(value, variables))
  }
  return plain
}

/** Options for mingo: no scripts, our context, variables. */
export function mingoOptions (variables: Variables): Partial<Options> {
  return { scriptEnabled: false, context: expressionContext, variables: toPlainDocument(variables) }
}

/** Compiles an aggregation expression. Throws CommandError 168 on an operator that does not exist. */
export function compileExpression (expression: unknown, variables: Variables): (document: Document) => unknown {
  checkOperators(expression)
  const plain = toPlainExpression(expression, variables)
  const options = mingoOptions(variables)
  return (document) => rejectMingo(() => evalExpr(toPlainDocument(document), plain, options as Options))
}

function checkOperators (expression: unknown): void {
  if (Array.isArray(expression)) return expression.forEach(checkOperators)
  if (!isDocument(expression)) return
  for (const [key, value] of Object.entries(expression)) {
    if (key === '$literal') continue
    if (key.startsWith('$') && !(key in expressionOperators) && !(key in accumulators)) {
      throw new CommandError(168, `Unrecognized expression '${key}'`)
    }
    checkOperators(value)
  }
}

/** Runs mingo code; its own errors are the client's mistakes (BadValue), not ours. */
export function rejectMingo<T> (run: () => T): T {
  try {
    return run()
  } catch (error) {
    if (error instanceof CommandError) throw error
    throw new CommandError(2, error instanceof Error ? error.message : String(error))
  }
}
