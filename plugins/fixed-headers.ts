import { type IncomingMessage, type ServerResponse } from 'node:http'
import fp from 'fastify-plugin'
import helmet from 'helmet'

declare module 'fastify' {
  interface FastifyInstance {
    /** What every answer carries, whatever became of its request. */
    fixedHeaders: Readonly<Record<string, string>>
  }
}

const YEAR_SECONDS = 31_536_000
const off = false

/** `endsTls`: browsers are told to come by TLS only; where a proxy ends it, that is for the proxy to say. */
function headersFor (endsTls: boolean): Record<string, string> {
  const headers: Record<string, string> = { 'cache-control': 'no-store' }
  const secure = helmet({
    contentSecurityPolicy: { useDefaults: false, directives: { defaultSrc: ['\'none\''], frameAncestors: ['\'none\''] } },
    xFrameOptions: { action: 'deny' },
    referrerPolicy: { policy: 'no-referrer' },
    strictTransportSecurity: endsTls ? { maxAge: YEAR_SECONDS, includeSubDomains: true, preload: true } : off,
    // About pages, of which there are none besides those at /docs.
    crossOriginEmbedderPolicy: off,
    crossOriginOpenerPolicy: off,
    crossOriginResourcePolicy: off,
    originAgentCluster: off,
    xDnsPrefetchControl: off,
    xDownloadOptions: off,
    xPermittedCrossDomainPolicies: off,
    xXssProtection: off,
    xPoweredBy: off
  })
  const response = { setHeader: (name: string, value: string) => { headers[name.toLowerCase()] = value } }
  secure({} as IncomingMessage, response as unknown as ServerResponse, () => {})
  return headers
}

/**
 * The headers that keep browsers from doing more with an answer than reading it, and caches from keeping it. Made once, and
 * not by a hook of helmet's own: that makes them anew for each request, and never sees what is not yet one.
 */
export default fp<{ endsTls: boolean }>(async (fastify, { endsTls }) => {
  const headers = Object.freeze(headersFor(endsTls))
  fastify.decorate('fixedHeaders', headers)
  fastify.addHook('onRequest', (_request, reply, done) => {
    reply.headers(headers)
    done()
  })
}, { name: 'fixed-headers' })
