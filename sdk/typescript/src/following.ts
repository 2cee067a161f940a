import { connectionFailure, ParleyError } from './error.ts'
import { type Kind } from './events.ts'
import { eventsOf } from './reading.ts'

/** How a stream goes on after a break. */
export interface Reconnection {
  /** Attempts in a row that bring nothing, until the stream fails. Default: 8. */
  readonly attempts?: number
  /** Before the first of them; each further one waits twice as long, and all a little less at random. A `retry:` of the server comes first. Default: 500. */
  readonly delayMs?: number
  /** The longest wait. Where the server asks for a longer one, the stream fails, and `retryAfter` of the error says for how long. Default: 30,000. */
  readonly maxDelayMs?: number
  /** A connection without a byte for so long is taken for dead. Default: 45,000. */
  readonly idleMs?: number
}

/** Opens a connection, behind an event where one is named. */
export type Opener = (lastEventId: string | undefined, signal: AbortSignal) => Promise<ReadableStream<Uint8Array>>

export interface Following<E extends { readonly event: string }> {
  readonly open: Opener
  readonly kind: Kind<E & { data: unknown }>
  readonly lastEventId?: string
  readonly signal?: AbortSignal | null
  readonly reconnection: Required<Reconnection>
}

async function pause (ms: number, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted()
  await new Promise<void>((resolve, reject) => {
    const end = () => {
      clearTimeout(timer)
      reject(signal.reason as Error)
    }
    const timer = setTimeout(() => {
      signal.removeEventListener('abort', end)
      resolve()
    }, ms)
    signal.addEventListener('abort', end, { once: true })
  })
}

/** How long to wait after a failure; throws the failure where that is of no use. */
function delayAfter (failure: ParleyError, attempt: number, { attempts, delayMs, maxDelayMs }: Required<Reconnection>): number {
  const asked = (failure.retryAfter ?? 0) * 1000
  // A session that is busy, or a fault, is for the caller to judge.
  const mayPass = failure.retryable && failure.status !== 409 && failure.status !== 500
  if (!mayPass || attempt >= attempts || asked > maxDelayMs) throw failure
  const most = Math.min(maxDelayMs, delayMs * 2 ** attempt)
  return Math.max(asked, most * (0.5 + Math.random() / 2))
}

/** The events of a stream, each once and in order, over as many connections as it takes. Leaving it closes the connection. */
export async function * follow<E extends { readonly event: string, readonly id?: string, readonly data: unknown }> (
  { open, kind, lastEventId, signal, reconnection }: Following<E>
): AsyncGenerator<E, void, undefined> {
  const left = new AbortController()
  const ended = signal ? AbortSignal.any([signal, left.signal]) : left.signal
  let { delayMs } = reconnection
  let attempt = 0
  try {
    for (;;) {
      let failure = connectionFailure(undefined, 'The stream broke off.')
      try {
        const reading = { idleMs: reconnection.idleMs, onRetry: (ms: number) => { delayMs = ms } }
        for await (const { event: name = 'message', id, data } of eventsOf(await open(lastEventId, ended), reading)) {
          lastEventId = id ?? lastEventId
          attempt = 0
          if (name === 'stream.reconnect') break
          if (!kind.known.has(name)) continue
          const event = { event: name, id, data: JSON.parse(data) as unknown } as E
          yield event
          if (kind.isLast(event)) return
        }
      } catch (error) {
        ended.throwIfAborted()
        failure = error instanceof ParleyError ? error : connectionFailure(error)
      }
      await pause(delayAfter(failure, attempt, { ...reconnection, delayMs }), ended)
      attempt += 1
    }
  } finally {
    left.abort()
  }
}
