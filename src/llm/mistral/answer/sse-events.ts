import { createParser } from 'eventsource-parser'

// Far above any chunk of a completion; below what would hurt with hundreds of streams open.
const MAX_EVENT_CHARS = 1024 * 1024

export interface SseListener {
  /** The data of one event. */
  event (data: string): void
  /** A line or an event is over 1 Mi characters; nothing more comes. */
  oversize (): void
}

export interface SseDecoder {
  feed (bytes: Uint8Array): void
  /** The bytes are over: an event that lacks only its closing blank line is given out as well. */
  flush (): void
}

/** Turns bytes, cut anywhere, into the data of server-sent events. */
export function createSseDecoder (listener: SseListener): SseDecoder {
  const text = new TextDecoder()
  let oversize = false
  const parser = createParser({
    maxBufferSize: MAX_EVENT_CHARS,
    onEvent: ({ data }) => listener.event(data),
    onError: ({ type }) => {
      if (type !== 'max-buffer-size-exceeded') return
      oversize = true
      listener.oversize()
    }
  })
  // The parser throws when it is fed after an overflow.
  const feed = (chars: string): void => { if (!oversize) parser.feed(chars) }
  return {
    feed: (bytes) => feed(text.decode(bytes, { stream: true })),
    flush: () => feed(text.decode() + '\n\n')
  }
}
