import { type OutgoingHttpHeaders } from 'node:http'
import { type FastifyReply } from 'fastify'
import fp from 'fastify-plugin'
import { Gauge } from 'prom-client'
import { delta, ended, heartbeat, offsetIn, reconnect, started } from '../src/chat/events.ts'
import { type FollowedMessage } from '../src/chat/followed-message.ts'
import { ApiError } from '../src/errors.ts'
import { type Telling } from '../src/chat/telling.ts'
import { type Feed } from '../src/feeds/feeds.ts'
import { type Message } from '../src/store/message.ts'

/** Where a reader comes in. `begin`: at the very start, with `message.started`, which tells the message answered, too. */
export type StreamPosition = { begin: Message } | { lastEventId?: string, offset?: number }

declare module 'fastify' {
  interface FastifyReply {
    /**
     * Sends a message as server-sent events until it has ended or the reader has left. A slow reader costs no memory: what
     * it has not been sent yet is read from the message itself. Throws `validation_failed` for a foreign `Last-Event-ID`.
     */
    streamMessage: (followed: FollowedMessage, position: StreamPosition) => FastifyReply
    /** Sends anything that grows as server-sent events until it is over or the reader has left, as `streamMessage` does. */
    streamTelling: (telling: Telling) => FastifyReply
    /** Sends a feed as server-sent events until it is over or the reader has left; only as fast as they are taken. */
    streamFeed: (feed: Feed) => FastifyReply
  }
}

export interface EventStreamOptions {
  /** How often a silent stream gets a comment line. */
  readonly heartbeatMs: number
  /** After this long, the reader of a feed must come back: then its credential is looked at again. */
  readonly feedMs: number
}

function offsetOf (followed: FollowedMessage, position: StreamPosition): number {
  if ('begin' in position) return 0
  const { lastEventId, offset = 0 } = position
  if (lastEventId === undefined) return offset
  const fromId = offsetIn(lastEventId, followed)
  if (fromId === undefined) {
    throw new ApiError('validation_failed', {
      detail: 'The Last-Event-ID is not one of this message.',
      members: { errors: [{ path: '/last-event-id', message: 'must be the id of an event of this message' }] }
    })
  }
  return fromId
}

/** A response that has begun as a stream of events. */
interface EventStream {
  /** The socket takes no more for now. */
  isBlocked: boolean
  /** The last of it is written, or the reader has left. */
  isDone: boolean
  write: (text: string) => void
  finish: (last: string) => void
  /** Sends the reader away. */
  leave: () => void
}

/** Own writer instead of @fastify/sse: that one waits for ever for a reader that leaves under backpressure. */
export default fp<EventStreamOptions>(async (fastify, { heartbeatMs, feedMs }) => {
  const { chat } = fastify
  const open = new Gauge({ name: 'open_streams', help: 'Event streams that are open.', registers: [fastify.metrics] })

  /** `resumed`: the socket takes more again; `closed`: there is nobody to write to any more. Undefined: nor is there now. */
  function begin (reply: FastifyReply, on: { resumed: () => void, closed: () => void }, farewell = reconnect): EventStream | undefined {
    const { raw } = reply
    reply.hijack()
    // Left before anything was to be said: there will be no 'close' any more to clean up after.
    if (raw.destroyed) return undefined
    reply.headers({
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'no-store, no-transform',
      'x-accel-buffering': 'no'
    })
    raw.writeHead(200, reply.getHeaders() as OutgoingHttpHeaders)
    raw.flushHeaders()
    reply.msToStream = reply.elapsedTime
    open.inc()

    const stream: EventStream = {
      isBlocked: false,
      isDone: false,
      write (text) { stream.isBlocked = !raw.write(text) },
      finish (last) {
        stream.isDone = true
        raw.end(last)
      },
      leave () { if (!stream.isDone) stream.finish(farewell) }
    }
    const beat = () => {
      // Nothing was taken for a whole beat, or not even the end: the reader is gone or stuck.
      if (stream.isBlocked || stream.isDone) raw.destroy()
      else stream.write(heartbeat)
    }
    const timer = setInterval(beat, heartbeatMs)
    chat.closing.addEventListener('abort', stream.leave)
    raw.on('drain', () => {
      stream.isBlocked = false
      on.resumed()
    })
    raw.on('close', () => {
      open.dec()
      stream.isDone = true
      clearInterval(timer)
      chat.closing.removeEventListener('abort', stream.leave)
      on.closed()
    })
    return stream
  }

  fastify.decorateReply('streamTelling', function (this: FastifyReply, telling: Telling) {
    const stream = begin(this, { resumed: () => pump(), closed: () => unsubscribe() }, telling.farewell)
    if (!stream) return this
    const pump = () => {
      if (stream.isBlocked || stream.isDone) return
      const news = telling.news()
      if (news !== '') stream.write(news)
      const end = telling.end()
      if (end !== undefined) stream.finish(end)
    }
    const unsubscribe = telling.subscribe(pump)
    pump()
    if (chat.closing.aborted) stream.leave()
    return this
  })

  fastify.decorateReply('streamMessage', function (this: FastifyReply, followed: FollowedMessage, position: StreamPosition) {
    let sent = offsetOf(followed, position)
    let opening = 'begin' in position ? started(position.begin, followed) : ''
    return this.streamTelling({
      farewell: reconnect,
      subscribe: (listener) => followed.subscribe(listener),
      news () {
        const { length } = followed.text
        const frames = opening + (sent < length ? delta(followed, sent) : '')
        opening = ''
        // Who has more than is here yet waits for it.
        sent = Math.max(sent, length)
        return frames
      },
      end: () => {
        if (!followed.ended && followed.failure === undefined) return undefined
        const goingAway = chat.isDraining && followed.botMessage.status === 'interrupted'
        return ended(followed, this.request.occurrence()) + (goingAway ? reconnect : '')
      }
    })
  })

  fastify.decorateReply('streamFeed', function (this: FastifyReply, feed: Feed) {
    const left = new AbortController()
    let proceed = () => {}
    const stream = begin(this, {
      resumed: () => proceed(),
      closed: () => {
        clearTimeout(timer)
        left.abort()
        proceed()
      }
    })
    if (!stream) return this
    const timer = setTimeout(stream.leave, feedMs)
    const tell = async () => {
      for await (const frame of feed(left.signal)) {
        if (stream.isDone) return
        stream.write(frame)
        if (stream.isBlocked) await new Promise<void>((resolve) => { proceed = resolve })
      }
      if (!stream.isDone) stream.finish('')
    }
    tell().catch((error: unknown) => {
      // The reader knows where it was; when it comes back, it is told what is wrong.
      this.server.trackedLog(this.log).warn({ err: error }, 'a feed could not go on')
      stream.leave()
    })
    if (chat.closing.aborted) stream.leave()
    return this
  })
}, { name: 'event-stream', dependencies: ['error-tracking', 'metrics', 'services', 'errors'] })
