import { setTimeout as delay } from 'node:timers/promises'
import { type FastifyReply } from 'fastify'
import fp from 'fastify-plugin'

declare module 'fastify' {
  interface FastifyInstance {
    /** Closes the server without dropping what was accepted: first nothing new comes, then what is there ends. */
    retire: () => Promise<void>
  }
}

// What the contract gives running turns.
const DRAIN_MS = 10_000
// How long those who send requests here have to see that it is not ready, before connections are refused.
const NOTICE_MS = 1000
const CHECK_MS = 25
// Of connections that are still open when all is over; they may never have sent a request.
const LINGER_MS = 2000

/** Going down: no reader waits for ever, no request on its way is cut off. */
export default fp(async (fastify) => {
  const { chat, server } = fastify

  // An idle connection cannot be closed without the risk that a request is on its way in it; one that is told to can.
  const endConnection = (reply: FastifyReply) => {
    if (chat.isDraining) reply.header('connection', 'close')
  }
  // Before, because a stream of events never comes to the second, and after, because draining may begin between the two.
  fastify.addHook('onRequest', (_request, reply, done) => {
    endConnection(reply)
    done()
  })
  fastify.addHook('onSend', (_request, reply, _payload, done) => {
    endConnection(reply)
    done()
  })

  const countConnections = async () =>
    await new Promise<number>((resolve) => server.getConnections((_error, count) => resolve(count)))

  /** Waits until all have gone, or have been idle so long that they are not used again. */
  async function connectionsGone (): Promise<void> {
    const end = performance.now() + server.keepAliveTimeout + server.keepAliveTimeoutBuffer
    while (performance.now() < end && await countConnections() > 0) await delay(CHECK_MS)
  }

  fastify.decorate('retire', async () => {
    await Promise.all([chat.drain(DRAIN_MS), delay(NOTICE_MS)])
    await connectionsGone()
    await fastify.close()
  })
  fastify.addHook('preClose', async () => {
    setTimeout(() => server.closeAllConnections(), LINGER_MS).unref()
  })
}, { name: 'shutdown', dependencies: ['services'] })
