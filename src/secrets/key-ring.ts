import { hkdfSync, randomBytes } from 'node:crypto'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** Keys by their id. The first one encrypts; all decrypt. */
export type KeyRing = ReadonlyMap<string, Buffer>

const BYTES = 32
const ENTRY = /^([0-9A-Za-z_-]{1,32}):([0-9A-Za-z+/]{43}=)$/

/** Reads `id:base64(32 bytes)`, separated by commas. Undefined: it is not that. */
export function parseKeyRing (text: string): KeyRing | undefined {
  const ring = new Map<string, Buffer>()
  for (const entry of text.split(',')) {
    const [, id, base64] = ENTRY.exec(entry.trim()) ?? []
    if (id === undefined || base64 === undefined || ring.has(id)) return undefined
    // Not the key itself: whoever uses it for something else as well has still two keys.
    ring.set(id, Buffer.from(hkdfSync('sha256', Buffer.from(base64, 'base64'), '', 'parley field encryption', BYTES)))
  }
  return ring
}

/** Where the key is kept that is made where none is set. */
export const encryptionKeyFile = (dataDir: string) => join(dataDir, 'encryption-key')

/** The keys of a server that was given none: one of its own, made when it is first asked for. */
export function localKeyRing (dataDir: string): KeyRing {
  const file = encryptionKeyFile(dataDir)
  mkdirSync(dataDir, { recursive: true, mode: 0o700 })
  try {
    writeFileSync(file, `local:${randomBytes(BYTES).toString('base64')}\n`, { mode: 0o600, flag: 'wx' })
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
  }
  const ring = parseKeyRing(readFileSync(file, 'utf8').trim())
  if (!ring) throw new Error(`${file} does not hold a key`)
  return ring
}
