/** A decimal number as 0.DIGITS × 10^exponent, without leading or trailing zeros; no digits: zero. */
export interface DecimalParts {
  negative: boolean
  digits: string
  exponent: number
}

/** Digits of a remainder that can matter: two 34-digit decimals that share a double differ within these. */
const SIGNIFICANT_DIGITS = 40

/** coefficient × 10^power; trailing zeros count, as they do in a decimal128. */
export interface Scaled {
  coefficient: bigint
  power: number
}

/** Reads a decimal literal (`-1.50E+300`); undefined for infinities and NaN. */
export function scaledDecimal (text: string): Scaled | undefined {
  const match = /^([+-]?)(\d*)\.?(\d*)(?:[eE]([+-]?\d+))?$/.exec(text)
  if (match === null) return undefined
  const [, sign, whole = '', fraction = '', power = '0'] = match
  const coefficient = BigInt(whole + fraction)
  return { coefficient: sign === '-' ? -coefficient : coefficient, power: Number(power) - fraction.length }
}

/** Takes a decimal literal apart; undefined for infinities and NaN. */
export function decimalParts (text: string): DecimalParts | undefined {
  const scaled = scaledDecimal(text)
  return scaled === undefined ? undefined : normalised(scaled.coefficient, scaled.power)
}

function normalised (value: bigint, power: number): DecimalParts {
  const negative = value < 0n
  const digits = value === 0n ? '' : (negative ? -value : value).toString()
  return { negative, digits: digits.replace(/0+$/, ''), exponent: digits === '' ? 0 : digits.length + power }
}

/** The exact difference between a decimal and a double; undefined when either is not finite. */
export function exactDifference (decimal: DecimalParts | undefined, double: number): DecimalParts | undefined {
  if (decimal === undefined || !Number.isFinite(double)) return undefined
  const [a, powerA] = toScaled(decimal)
  const [b, powerB] = exactDouble(double)
  const power = Math.min(powerA, powerB)
  const difference = a * 10n ** BigInt(powerA - power) - b * 10n ** BigInt(powerB - power)
  const parts = normalised(difference, power)
  return { ...parts, digits: parts.digits.slice(0, SIGNIFICANT_DIGITS) }
}

/** coefficient × 10^power. */
function toScaled (parts: DecimalParts): [bigint, number] {
  const coefficient = BigInt(parts.digits === '' ? '0' : parts.digits)
  return [parts.negative ? -coefficient : coefficient, parts.exponent - parts.digits.length]
}

/** A finite double's exact value as coefficient × 10^power: m × 2^-k is m × 5^k × 10^-k. */
function exactDouble (value: number): [bigint, number] {
  if (Number.isInteger(value)) return [BigInt(value), 0]
  let mantissa = value
  let halvings = 0
  while (!Number.isInteger(mantissa)) {
    mantissa *= 2
    halvings++
  }
  return [BigInt(mantissa) * 5n ** BigInt(halvings), -halvings]
}
