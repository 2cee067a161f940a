import { Decimal128, Long, type Double } from 'bson'
import { CommandError } from '../errors.ts'
import { scaledDecimal, type Scaled } from './decimal.ts'
import { doubleValue, integerValue, isInt32, isLong, toNumber } from './values.ts'

/** A value of one of BSON's number types. */
export type Numeric = number | Double | Long | Decimal128

const INT64_MIN = -(2n ** 63n)
const INT64_MAX = 2n ** 63n - 1n

/** Sum in the wider of the two types; an int32 that overflows becomes an int64, an int64 that does is refused (2). */
export function add (a: Numeric, b: Numeric): Numeric {
  return calculate(a, b, (x, y) => x + y, (x, y) => x + y, addDecimals)
}

/** Product, with the same rules. */
export function multiply (a: Numeric, b: Numeric): Numeric {
  return calculate(a, b, (x, y) => x * y, (x, y) => x * y, multiplyDecimals)
}

function calculate (
  a: Numeric,
  b: Numeric,
  integers: (x: bigint, y: bigint) => bigint,
  doubles: (x: number, y: number) => number,
  decimals: (x: Scaled, y: Scaled) => Scaled
): Numeric {
  if (a instanceof Decimal128 || b instanceof Decimal128) return decimal(a, b, doubles, decimals)
  if (!isInteger(a) || !isInteger(b)) return doubleValue(doubles(toNumber(a), toNumber(b)))
  const result = integers(toBigInt(a), toBigInt(b))
  if (result < INT64_MIN || result > INT64_MAX) throw new CommandError(2, 'the result does not fit a 64-bit integer')
  return isLong(a) || isLong(b) ? longValue(result) : integerValue(result)
}

function isInteger (value: Numeric): value is number | Long {
  return isInt32(value) || isLong(value)
}

/** An integer of either width. */
export function toBigInt (value: number | Long): bigint {
  return typeof value === 'number' ? BigInt(value) : value.toBigInt()
}

/** An int64, also where an int32 would do. */
export function longValue (value: bigint): Long {
  return Long.fromBigInt(value)
}

/** A double counts with 15 digits, as in MongoDB: 0.1 is meant, not its binary expansion. */
function scaled (value: Numeric): Scaled | undefined {
  const isDouble = !isInteger(value) && !(value instanceof Decimal128)
  return scaledDecimal(isDouble ? toNumber(value).toPrecision(15) : value.toString())
}

function decimal (
  a: Numeric,
  b: Numeric,
  doubles: (x: number, y: number) => number,
  exact: (x: Scaled, y: Scaled) => Scaled
): Decimal128 {
  const x = scaled(a)
  const y = scaled(b)
  if (x === undefined || y === undefined) {
    // Infinities and NaN follow the same rules in doubles.
    return Decimal128.fromString(String(doubles(toNumber(a), toNumber(b))))
  }
  const { coefficient, power } = exact(x, y)
  return Decimal128.fromStringWithRounding(`${coefficient}E${power}`)
}

function addDecimals (x: Scaled, y: Scaled): Scaled {
  const power = Math.min(x.power, y.power)
  return {
    coefficient: x.coefficient * 10n ** BigInt(x.power - power) + y.coefficient * 10n ** BigInt(y.power - power),
    power
  }
}

function multiplyDecimals (x: Scaled, y: Scaled): Scaled {
  return { coefficient: x.coefficient * y.coefficient, power: x.power + y.power }
}
