import { type OutgoingHttpHeaders } from 'node:http'
import { type FastifyReply } from 'fastify'
import fp from 'fastify-plugin'
import { delta, ended, heartbeat, offsetIn, reconnect, started } from '../src/chat/events.ts'
import { type FollowedMessage } from '../src/chat/followed-message.ts'
import { ApiError } from '../src/errors.ts'
import { type Message } from '../src/store/messages.ts'

/** Where a reader comes in. `begin`: at the very start, with `message.started`, which tells the message answered, too. */
export type StreamPosition = { begin: Message } | { lastEventId?: string, offset?: number }

declare module 'fastify' {
  interface FastifyReply {
    /**
     * Sends a message as server-sent events until it has ended or the reader has left. A slow reader costs no memory: what
     * it has not been sent yet is read from the message itself. Throws `validation_failed` for a foreign `Last-Event-ID`.
     */
    streamMessage: (followed: FollowedMessage, position: StreamPosition) => FastifyReply
  }
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

/** Own writer instead of @fastify/sse: that one waits for ever for a reader that leaves under backpressure. */
export default fp<{ heartbeatMs: number }>(async (fastify, { heartbeatMs }) => {
  fastify.decorateReply('streamMessage', function (this: FastifyReply, followed: FollowedMessage, position: StreamPosition) {
    const { raw, request } = this
    let sent = offsetOf(followed, position)
    let blocked = false
    let done = false

    this.hijack()
    // Left while its turn was waited for: there will be no 'close' any more to clean up after.
    if (raw.destroyed) return this
    this.headers({
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'no-cache, no-transform',
      'x-accel-buffering': 'no'
    })
    raw.writeHead(200, this.getHeaders() as OutgoingHttpHeaders)
    raw.flushHeaders()

    const write = (text: string) => { blocked = !raw.write(text) }
    const finish = (last: string) => {
      done = true
      raw.end(last)
    }
    const pump = () => {
      if (blocked || done) return
      const { length } = followed.text
      if (sent < length) {
        write(delta(followed, sent))
        sent = length
      }
      if (!followed.ended && followed.failure === undefined) return
      const goingAway = fastify.chat.isDraining && followed.botMessage.status === 'interrupted'
      finish(ended(followed, request.occurrence()) + (goingAway ? reconnect : ''))
    }
    const beat = () => {
      // Nothing was taken for a whole beat, or not even the end: the reader is gone or stuck.
      if (blocked || done) raw.destroy()
      else write(heartbeat)
    }
    const leave = () => { if (!done) finish(reconnect) }

    const unsubscribe = followed.subscribe(pump)
    const timer = setInterval(beat, heartbeatMs)
    fastify.chat.closing.addEventListener('abort', leave)
    raw.on('drain', () => {
      blocked = false
      pump()
    })
    raw.on('close', () => {
      done = true
      unsubscribe()
      clearInterval(timer)
      fastify.chat.closing.removeEventListener('abort', leave)
    })

    if ('begin' in position) write(started(position.begin, followed))
    pump()
    if (fastify.chat.closing.aborted) leave()
    return this
  })
}, { name: 'event-stream', dependencies: ['services', 'errors'] })
