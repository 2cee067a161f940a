import { isUtf8 } from 'node:buffer'
import { ApiError } from '../errors.ts'

const NEWLINE = 0x0a

/** Where a line of a file does not fit. */
export function wrongLine (number: number, message: string, path = ''): ApiError {
  return new ApiError('validation_failed', {
    detail: `Line ${number} does not fit: ${`${path} ${message}`.trim()}.`,
    members: { errors: [{ path: `/${number}${path}`, message }] }
  })
}

export interface LineLimits {
  readonly maxBytes: number
  /** How long to wait for more. */
  readonly idleMs: number
}

const cutOff = (cause?: unknown) => new ApiError('validation_failed', { detail: 'The body has stopped coming.', cause })

/** The next piece of a body. Throws where none comes in time, so that nobody holds a connection for ever. */
async function nextOf (pieces: AsyncIterator<Buffer>, idleMs: number): Promise<IteratorResult<Buffer>> {
  const { promise: late, reject } = Promise.withResolvers<never>()
  const timer = setTimeout(() => reject(cutOff()), idleMs)
  // The body of a client that has gone fails by itself.
  const next = pieces.next().catch((cause: unknown) => { throw cutOff(cause) })
  return await Promise.race([next, late]).finally(() => clearTimeout(timer))
}

/**
 * The lines of a body as they come, without holding more than one of them and one piece. Empty lines are left out, and
 * counted. Throws `validation_failed` for one that is too long or no UTF-8, and where the body stops coming.
 */
export async function * linesOf (
  body: AsyncIterable<Buffer>, { maxBytes, idleMs }: LineLimits
): AsyncIterable<{ number: number, text: string }> {
  const pieces = body[Symbol.asyncIterator]()
  let number = 0
  let begun: Buffer[] = []
  let bytes = 0
  const add = (part: Buffer) => {
    bytes += part.length
    if (bytes > maxBytes) throw wrongLine(number + 1, `is longer than ${maxBytes} bytes`)
    begun.push(part)
  }
  const end = () => {
    number++
    const line = Buffer.concat(begun)
    begun = []
    bytes = 0
    if (!isUtf8(line)) throw wrongLine(number, 'is not UTF-8')
    return { number, text: line.toString('utf8') }
  }
  for (;;) {
    const next = await nextOf(pieces, idleMs)
    if (next.done) break
    const piece = next.value
    let from = 0
    for (let at = piece.indexOf(NEWLINE); at !== -1; at = piece.indexOf(NEWLINE, from)) {
      add(piece.subarray(from, at))
      from = at + 1
      const line = end()
      if (line.text.trim() !== '') yield line
    }
    add(piece.subarray(from))
  }
  const last = end()
  if (last.text.trim() !== '') yield last
}
