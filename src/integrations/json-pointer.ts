/** What a JSON Pointer (RFC 6901) finds in a value of JSON. Undefined: nothing. */
export function resolvePointer (value: unknown, pointer: string): unknown {
  let found = value
  for (const token of pointer.split('/').slice(1)) {
    const name = token.replaceAll('~1', '/').replaceAll('~0', '~')
    if (typeof found !== 'object' || found === null || !Object.hasOwn(found, name)) return undefined
    if (Array.isArray(found) && !/^(0|[1-9]\d*)$/.test(name)) return undefined
    found = (found as Record<string, unknown>)[name]
  }
  return found
}
