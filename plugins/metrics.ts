import { X509Certificate } from 'node:crypto'
import fp from 'fastify-plugin'
import { Gauge, Histogram, Registry, collectDefaultMetrics } from 'prom-client'
import { roundMetrics, type Work } from './metrics/rounds.ts'

declare module 'fastify' {
  interface FastifyInstance {
    metrics: Registry
    /** Notes that a background work was done. */
    noteRound: (work: Work) => void
  }
  interface FastifyReply {
    /** When an answer that is a stream has begun, in milliseconds after the request. */
    msToStream: number | null
  }
}

// What watches the process never ends, so there is one of it, however many servers are in the process.
const ofProcess = new Registry()
collectDefaultMetrics({ register: ofProcess })

/**
 * Prometheus metrics of this process and of its HTTP requests, by route pattern, so that paths cannot multiply them. What else
 * is counted is counted by the plugin that knows of it.
 */
export default fp<{ certificate?: Buffer | string | undefined }>(async (fastify, { certificate }) => {
  const registry = Registry.merge([ofProcess])
  const duration = new Histogram({
    name: 'http_request_duration_seconds',
    help: 'Duration of HTTP requests; of event streams, until they have begun.',
    labelNames: ['method', 'route', 'status'],
    buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.25, 0.5, 1, 2.5, 5, 10, 30],
    registers: [registry]
  })
  if (certificate !== undefined) {
    const expiry = new Gauge({
      name: 'tls_certificate_expiry_timestamp_seconds', help: 'When the certificate that is served ends, in Unix time.', registers: [registry]
    })
    expiry.set(new X509Certificate(certificate).validToDate.getTime() / 1000)
  }
  fastify.decorateReply('msToStream', null)
  fastify.onAnswered((request, reply, status) => {
    duration.observe(
      { method: request.method, route: request.routeOptions.url ?? 'none', status },
      (reply.msToStream ?? reply.elapsedTime) / 1000
    )
  })
  fastify.decorate('metrics', registry)
  fastify.decorate('noteRound', roundMetrics(registry))
}, { name: 'metrics', dependencies: ['answered'] })
