import fp from 'fastify-plugin'
import { type Principal } from '../src/auth/principal.ts'
import { type FollowedMessage } from '../src/chat/followed-message.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /** The reply that this request has asked for, where it is a turn of its own. */
    turn: FollowedMessage | null
  }
}

/** Who it is, without what proves it. */
function whoIs ({ kind, tenantId, keyId, account, userId }: Principal) {
  return { tenantId, principal: kind, principalId: keyId ?? account?.id ?? userId ?? undefined }
}

function tellTurn ({ botMessage, attempts }: FollowedMessage) {
  const { id, status, model, latency, usage } = botMessage
  return {
    messageId: id,
    turn: status,
    model,
    firstTokenMs: latency?.firstTokenMs,
    turnMs: latency?.totalMs,
    promptTokens: usage?.promptTokens,
    completionTokens: usage?.completionTokens,
    attempts
  }
}

/** One line per request, when it is over. No header, no query, no body: they may hold secrets. */
export default fp(async (fastify) => {
  fastify.decorateRequest('turn', null)
  fastify.onAnswered((request, reply, status) => {
    const { caller, turn, traceId, span } = request
    request.log.info({
      method: request.method,
      route: request.routeOptions.url,
      status,
      ms: Math.round(reply.elapsedTime * 10) / 10,
      // Where there is a span, all lines of the request have it.
      ...(traceId !== null && !span && { traceId }),
      ...(caller && whoIs(caller)),
      ...(turn && tellTurn(turn))
    }, 'request')
  })
}, { name: 'request-log', dependencies: ['answered', 'tracing', 'auth'] })
