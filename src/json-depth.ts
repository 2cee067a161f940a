const QUOTE = 0x22
const BACKSLASH = 0x5c
const OPENING = new Set([0x5b, 0x7b])
const CLOSING = new Set([0x5d, 0x7d])

/** Whether a JSON text nests deeper than `max` levels. Reads bytes, so that nothing has to be parsed before it is known. */
export function isDeeperThan (max: number, json: Uint8Array): boolean {
  let depth = 0
  let inString = false
  for (let i = 0; i < json.length; i++) {
    const byte = json[i]!
    if (inString) {
      if (byte === BACKSLASH) i++
      else if (byte === QUOTE) inString = false
    } else if (byte === QUOTE) {
      inString = true
    } else if (OPENING.has(byte)) {
      if (++depth > max) return true
    } else if (CLOSING.has(byte)) {
      depth--
    }
  }
  return false
}
