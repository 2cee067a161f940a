import fp from 'fastify-plugin'
import { type Config } from '../src/config.ts'
import { Networks, parseNetworks } from '../src/outgoing/networks.ts'
import { OutgoingHttp } from '../src/outgoing/outgoing-http.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /** The way to URLs that tenants have set. */
    outgoing: OutgoingHttp
  }
}

export interface OutgoingPluginOptions {
  readonly config: Config
  readonly nameServers?: readonly string[] | undefined
  readonly totalMs?: number | undefined
}

/** The guarded HTTP client. */
export default fp<OutgoingPluginOptions>(async (fastify, { config, nameServers, totalMs }) => {
  const networks = new Networks(parseNetworks(config.OUTGOING_ALLOWED_NETWORKS)!)
  const outgoing = new OutgoingHttp({ networks, needsTls: config.NODE_ENV === 'production', nameServers, totalMs })
  fastify.decorate('outgoing', outgoing)
  fastify.addHook('onClose', async () => await outgoing.close())
}, { name: 'outgoing' })
