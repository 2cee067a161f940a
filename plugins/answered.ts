import { type FastifyReply, type FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'

/** `status`: what the client was told, 499 where it left before that. */
export type AnswerListener = (request: FastifyRequest, reply: FastifyReply, status: number) => void

declare module 'fastify' {
  interface FastifyInstance {
    /** Is told of every request when it is over. */
    onAnswered: (listener: AnswerListener) => void
  }
}

const LEFT = 499

/** When a request is over: also where the client left first, as readers of events do, which the hook `onResponse` is not told. */
export default fp(async (fastify) => {
  const listeners: AnswerListener[] = []
  fastify.decorate('onAnswered', (listener) => { listeners.push(listener) })
  fastify.addHook('onRequest', (request, reply, done) => {
    reply.raw.once('close', () => {
      const status = reply.raw.headersSent ? reply.statusCode : LEFT
      for (const listener of listeners) listener(request, reply, status)
    })
    done()
  })
}, { name: 'answered' })
