import { type FastifyRequest, type onSendAsyncHookHandler, type preHandlerAsyncHookHandler, type RouteOptions } from 'fastify'
import fp from 'fastify-plugin'
import { CreationHeaders } from '../schemas/idempotency.ts'
import { problems } from '../schemas/responses.ts'
import { Idempotency, type Claim } from '../src/idempotency/idempotency.ts'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** The route creates something and takes an `Idempotency-Key`; what it creates gets the request's `resourceId`. */
    idempotent?: true
  }
  interface FastifyRequest {
    claim: Claim | null
    /** The id for what this request creates, on an idempotent route and with a key: the same for every repeat. */
    readonly resourceId: string | undefined
  }
}

const keptHeaders = ['content-type', 'location', 'etag']

/** Lets clients repeat a POST: a route that declares itself idempotent answers a repeat as it answered the first time. */
export default fp(async (fastify) => {
  const idempotency = new Idempotency(fastify.store.idempotency)

  const claimed: preHandlerAsyncHookHandler = async (request, reply) => {
    const key = request.headers['idempotency-key'] as string | undefined
    if (key === undefined) return
    const { principal: { tenantId, userId }, method, routeOptions: { url }, params, body } = request
    request.claim = await idempotency.claim({ key, tenantId, userId, operation: [method, url, params], body })
    const { repeated, record: { answer } } = request.claim
    if (repeated) reply.header('idempotency-replayed', 'true')
    if (answer) return await reply.code(answer.status).headers(answer.headers).send(answer.body)
  }

  const settled: onSendAsyncHookHandler<unknown> = async ({ claim, log }, reply, payload) => {
    if (!claim || claim.record.answer) return
    if (reply.statusCode >= 300) reply.removeHeader('idempotency-replayed')
    const headers: Record<string, string> = {}
    for (const name of keptHeaders) {
      if (reply.hasHeader(name)) headers[name] = String(reply.getHeader(name))
    }
    try {
      await idempotency.settle(claim, { status: reply.statusCode, headers, body: String(payload) })
    } catch (error) {
      // The answer stands all the same: a repeat finds what was created by its id.
      fastify.trackedLog(log).warn({ err: error }, 'an answer could not be kept for a repeat')
    }
  }

  fastify.decorateRequest('claim', null)
  fastify.decorateRequest('resourceId', {
    getter (this: FastifyRequest) {
      return this.claim?.record.resourceId
    }
  })

  fastify.addHook('onRoute', (route: RouteOptions) => {
    if (!route.config?.idempotent) return
    route.schema = {
      ...route.schema,
      headers: CreationHeaders,
      response: { ...route.schema?.response as object, ...problems(422) }
    }
    route.preHandler = [claimed, ...[route.preHandler ?? []].flat()]
    route.onSend = [settled, ...[route.onSend ?? []].flat()]
  })
}, { name: 'idempotency', dependencies: ['error-tracking', 'mongo', 'auth'] })
