import { createParser, type EventSourceMessage } from 'eventsource-parser'
import { connectionFailure } from './error.ts'

interface Reading {
  /** A connection that brings nothing for so long is dead: the server sends a comment every 15 s. */
  readonly idleMs: number
  readonly onRetry: (ms: number) => void
}

/** Rejects when a chunk takes too long. */
async function within<T> (ms: number, chunk: Promise<T>): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined
  const silence = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(connectionFailure(undefined, `Nothing has come for ${ms} ms.`)), ms)
  })
  try {
    return await Promise.race([chunk, silence])
  } finally {
    clearTimeout(timer)
  }
}

/** The events of one connection, up to its end. One that is cut off in the middle is not handed out. */
export async function * eventsOf (body: ReadableStream<Uint8Array>, { idleMs, onRetry }: Reading): AsyncGenerator<EventSourceMessage> {
  let found: EventSourceMessage[] = []
  const parser = createParser({ onEvent: (event) => found.push(event), onRetry })
  const decoder = new TextDecoder()
  // Not every browser can iterate a stream.
  const reader = body.getReader()
  try {
    for (;;) {
      const { done, value } = await within(idleMs, reader.read())
      if (done) return
      parser.feed(decoder.decode(value, { stream: true }))
      const events = found
      found = []
      yield * events
    }
  } finally {
    reader.cancel().catch(() => {})
  }
}
