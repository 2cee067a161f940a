export type JsonObject = Record<string, unknown>

/** Whether a JSON value is an object. */
export const isObject = (value: unknown): value is JsonObject => typeof value === 'object' && value !== null && !Array.isArray(value)

/** Applies a JSON merge patch (RFC 7396) to an object: null removes a member, objects merge, everything else replaces. */
export function mergePatch (target: JsonObject, patch: JsonObject): JsonObject {
  const merged = { ...target }
  for (const [name, value] of Object.entries(patch)) {
    if (value === null) {
      delete merged[name]
    } else if (isObject(value)) {
      const inner = merged[name]
      merged[name] = mergePatch(isObject(inner) ? inner : {}, value)
    } else {
      merged[name] = value
    }
  }
  return merged
}
