/** A decimal number as 0.DIGITS × 10^exponent, without leading or trailing zeros; no digits: zero. */
export interface DecimalParts {
  negative: boolean
  digits: string
  exponent: number
}

/** Digits of a remainder that can matter: two 34-digit decimals that share a double differ within these. */
const SIGNIFICANT_DIGITS = 40

/** Takes a decimal literal apart (`-1.5E+300`); undefined for infinities and NaN. */
export function decimalParts (text: string): DecimalParts | undefined {
  const match = /^([+-]?)(\d*)\.?(\d*)(?:[eE]([+-]?\d+))?$/.exec(text)
  if (match === null) return undefined
  const [, sign, whole = '', fraction = '', power = '0'] = match
  return normalised(sign === '-', BigInt(whole + fraction || '0'), Number(power) - fraction.length)
}

function normalised (negative: boolean, coefficient: bigint, power: number): DecimalParts {
  const digits = coefficient === 0n ? '' : coefficient.toString()
  return { negative, digits: digits.replace(/0+$/, ''), exponent: digits === '' ? 0 : digits.length + power }
}

/** The exact difference between a decimal and a double; undefined when either is not finite. */
export function exactDifference (decimal: DecimalParts | undefined, double: number): DecimalParts | undefined {
  if (decimal === undefined || !Number.isFinite(double)) return undefined
  const [a, powerA] = scaled(decimal)
  const [b, powerB] = exactDouble(double)
  const power = Math.min(powerA, powerB)
  const difference = a * 10n ** BigInt(powerA - power) - b * 10n ** BigInt(powerB - power)
  const parts = normalised(difference < 0n, difference < 0n ? -difference : difference, power)
  return { ...parts, digits: parts.digits.slice(0, SIGNIFICANT_DIGITS) }
}

/** coefficient × 10^power. */
function scaled (parts: DecimalParts): [bigint, number] {
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
