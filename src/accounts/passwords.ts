import { argon2, randomBytes, timingSafeEqual } from 'node:crypto'
import { promisify } from 'node:util'
import { ApiError } from '../errors.ts'
import { BoundedQueue } from '../bounded-queue.ts'

// The parameters that OWASP recommends for argon2id: 19 MiB, two passes, one lane.
const current = { memory: 19_456, passes: 2, parallelism: 1 }
const SALT_BYTES = 16
const HASH_BYTES = 32

// Each takes a thread of the pool, which the file system and the DNS need, too; and what waits longer is of no use.
const AT_ONCE = 2
const MAY_WAIT = 64

type Parameters = typeof current

const derive = promisify(argon2)
const base64 = (bytes: Buffer) => bytes.toString('base64').replaceAll('=', '')
const stringOf = ({ memory, passes, parallelism }: Parameters, salt: Buffer, hash: Buffer) =>
  `$argon2id$v=19$m=${memory},t=${passes},p=${parallelism}$${base64(salt)}$${base64(hash)}`

/** What nobody's password has, so that an account that is not there takes as long as one that is. */
const NOBODYS = stringOf(current, Buffer.alloc(SALT_BYTES), Buffer.alloc(HASH_BYTES))

function parse (stored: string): Parameters & { salt: Buffer, hash: Buffer } {
  const [, , , numbers, salt, hash] = stored.split('$') as [string, string, string, string, string, string]
  const [memory, passes, parallelism] = numbers.split(',').map((text) => Number(text.slice(2))) as [number, number, number]
  return { memory, passes, parallelism, salt: Buffer.from(salt, 'base64'), hash: Buffer.from(hash, 'base64') }
}

/** Hashes and checks passwords with argon2id. A hash is kept as a PHC string, so that the parameters can move. */
export class Passwords {
  readonly #queue = new BoundedQueue(AT_ONCE, MAY_WAIT)

  /** Throws `overloaded` where too many are being hashed. */
  async hash (password: string): Promise<string> {
    const salt = randomBytes(SALT_BYTES)
    return stringOf(current, salt, await this.#derive(password, current, salt, HASH_BYTES))
  }

  /** Whether the password is that of `stored`. Null is nobody's, and takes as long to tell. Throws `overloaded`. */
  async matches (password: string, stored: string | null): Promise<boolean> {
    const { salt, hash, ...parameters } = parse(stored ?? NOBODYS)
    return timingSafeEqual(await this.#derive(password, parameters, salt, hash.length), hash)
  }

  /** Whether the password is that of any of `stored`. Throws `overloaded`. */
  async matchesAny (password: string, stored: readonly string[]): Promise<boolean> {
    for (const hash of stored) if (await this.matches(password, hash)) return true
    return false
  }

  /** Whether it was hashed with other parameters than those of today. */
  isOutdated (stored: string): boolean {
    const { memory, passes, parallelism } = parse(stored)
    return memory !== current.memory || passes !== current.passes || parallelism !== current.parallelism
  }

  async #derive (password: string, { memory, passes, parallelism }: Parameters, nonce: Buffer, tagLength: number): Promise<Buffer> {
    // The same characters may be typed as different code points.
    const message = password.normalize('NFKC')
    const hashing = this.#queue.run(() => derive('argon2id', { message, nonce, memory, passes, parallelism, tagLength }))
    if (!hashing) throw new ApiError('overloaded', { detail: 'Too many passwords are being checked.', headers: { 'retry-after': '1' } })
    return await hashing
  }
}
