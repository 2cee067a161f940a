import { type Span } from '@opentelemetry/api'
import fp from 'fastify-plugin'
import { type Config } from '../src/config.ts'
import { type Tracing } from './tracing/otel.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /** Undefined: nobody wants traces. */
    tracing: Tracing | undefined
  }
  interface FastifyRequest {
    /** Names the trace that this request is part of, here or at who asked. */
    traceId: string | null
    span: Span | null
  }
}

const TRACEPARENT = /^[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}/

/**
 * Traces by OpenTelemetry, where there is somebody to send them to; else nothing of it is loaded. Own spans in place of
 * `@fastify/otel`, which notes queries, which may hold secrets, and never ends the spans of event streams.
 */
export default fp<{ config: Config, version: string }>(async (fastify, { config, version }) => {
  const { OTEL_EXPORTER_OTLP_ENDPOINT: endpoint } = config
  const tracing = endpoint === undefined ? undefined : (await import('./tracing/otel.ts')).startTracing(endpoint, config.OTEL_SERVICE_NAME, version)
  fastify.decorate('tracing', tracing)
  fastify.decorateRequest('traceId', null)
  fastify.decorateRequest('span', null)
  fastify.addHook('onRequest', (request, reply, done) => {
    const { traceparent } = request.headers
    if (!tracing) {
      request.traceId = TRACEPARENT.exec(String(traceparent ?? ''))?.[1] ?? null
      return done()
    }
    const span = request.span = tracing.begin(request.method, request.routeOptions.url, request.headers)
    request.traceId = span.spanContext().traceId
    span.setAttribute('parley.request.id', request.id)
    reply.log = request.log = request.log.child({ traceId: request.traceId })
    tracing.within(span, done)
  })
  if (!tracing) return
  // What comes after a body comes from its socket, which knows nothing of the request.
  fastify.addHook('preValidation', (request, _reply, done) => tracing.within(request.span!, done))
  fastify.onAnswered(({ span, caller }, _reply, status) => {
    if (!span) return
    if (caller) span.setAttribute('parley.tenant.id', caller.tenantId)
    tracing.end(span, status)
  })
  fastify.addHook('onClose', async () => await tracing.close())
}, { name: 'tracing', dependencies: ['answered'] })
