import { isDeepStrictEqual } from 'node:util'
import { type ConfigDiff } from '../../schemas/config-version.ts'
import { isObject, type JsonObject } from './merge-patch.ts'

/** What it takes to get from one object to another. Objects are gone into, lists are compared as a whole. */
export function changesBetween (before: JsonObject, after: JsonObject, at = ''): ConfigDiff['changes'] {
  const names = new Set([...Object.keys(before), ...Object.keys(after)])
  return [...names].flatMap((name) => {
    const [path, from, to] = [`${at}/${name}`, before[name], after[name]]
    if (isDeepStrictEqual(from, to)) return []
    if (isObject(from) && isObject(to)) return changesBetween(from, to, path)
    return [{ path, ...(from !== undefined && { from }), ...(to !== undefined && { to }) }]
  })
}
