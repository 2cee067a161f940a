import { evalExpr } from 'mingo/core'
import { compareValues } from '../values/compare.ts'
import { CommandError } from '../errors.ts'
import { typeName } from '../values/values.ts'

type Evaluate = typeof evalExpr
type Operator = (...args: Parameters<Evaluate>) => unknown

/** In expressions a missing value is below null and not equal to it, unlike in filters. */
function compareInExpression (a: unknown, b: unknown): number {
  if (a === undefined || b === undefined) return Number(a !== undefined) - Number(b !== undefined)
  return Math.sign(compareValues(a, b))
}

function comparison (name: string, result: (order: number) => unknown): Operator {
  return (document, operands, options) => {
    if (!Array.isArray(operands) || operands.length !== 2) {
      throw new CommandError(2, `Expression ${name} takes exactly 2 arguments`)
    }
    const [a, b] = operands.map((operand) => evalExpr(document, operand, options))
    return result(compareInExpression(a, b))
  }
}

function isIn (document: Parameters<Evaluate>[0], operands: unknown, options: Parameters<Evaluate>[2]): unknown {
  if (!Array.isArray(operands) || operands.length !== 2) {
    throw new CommandError(2, 'Expression $in takes exactly 2 arguments')
  }
  const [value, list] = operands.map((operand) => evalExpr(document, operand, options))
  if (!Array.isArray(list)) throw new CommandError(2, '$in requires an array as a second argument')
  return list.some((element) => compareInExpression(element, value) === 0)
}

/**
 * mingo's comparisons know JavaScript's types: they sort arrays before comparing, put arrays before booleans their own
 * way and compare ObjectId, Binary and int64 as text. These compare in MongoDB's order.
 */
export const correctedExpressions: Record<`$${string}`, Operator> = {
  $cmp: comparison('$cmp', (order) => order),
  $eq: comparison('$eq', (order) => order === 0),
  $ne: comparison('$ne', (order) => order !== 0),
  $gt: comparison('$gt', (order) => order > 0),
  $gte: comparison('$gte', (order) => order >= 0),
  $lt: comparison('$lt', (order) => order < 0),
  $lte: comparison('$lte', (order) => order <= 0),
  $in: isIn,
  $type: (document, operand, options) => {
    return typeName(evalExpr(document, Array.isArray(operand) ? operand[0] : operand, options))
  }
}
