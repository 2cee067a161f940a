import { isUtf8 } from 'node:buffer'
import { ApiError } from '../errors.ts'
import { isDeeperThan } from '../json-depth.ts'

const MAX_DEPTH = 32

/** Whether a value of JSON has a member that would change a prototype where it is copied without care. */
function isPolluting (value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false
  return Object.entries(value).some(([name, member]: [string, unknown]) => name === '__proto__' ||
    (name === 'constructor' && typeof member === 'object' && member !== null && Object.hasOwn(member, 'prototype')) || isPolluting(member))
}

/** Reads a body that was kept as it came, as strictly as all others. Throws `malformed_json`. */
export function parseJson (body: Buffer): unknown {
  if (!isUtf8(body)) throw new ApiError('malformed_json', { detail: 'The body is not UTF-8.' })
  if (isDeeperThan(MAX_DEPTH, body)) throw new ApiError('malformed_json', { detail: `The body nests deeper than ${MAX_DEPTH} levels.` })
  let value: unknown
  try {
    value = JSON.parse(body.toString('utf8'))
  } catch {
    throw new ApiError('malformed_json')
  }
  if (isPolluting(value)) throw new ApiError('malformed_json', { detail: 'The body has a member that would change a prototype.' })
  return value
}
