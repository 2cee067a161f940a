import fp from 'fastify-plugin'
import { Bus, type Carrier } from '../src/bus/bus.ts'
import { RedisCarrier } from '../src/bus/redis-carrier.ts'
import { StoreCarrier } from '../src/bus/store-carrier.ts'
import { type Config } from '../src/config.ts'

declare module 'fastify' {
  interface FastifyInstance {
    bus: Bus
  }
}

/** What replicas tell each other: by Redis where there is one, else by the store. On the embedded store there is no other. */
export default fp<{ config: Config }>(async (fastify, { config }) => {
  const { store, log } = fastify
  const carriers: Carrier[] = []
  if (config.REDIS_URL !== undefined) carriers.push(new RedisCarrier(config.REDIS_URL, config.MONGODB_DATABASE, log))
  if (config.MONGODB_URI !== undefined) carriers.push(new StoreCarrier(store.signals, fastify.trackedLog()))
  const bus = new Bus(carriers)
  fastify.decorate('bus', bus)
  fastify.addHook('onClose', async () => await bus.close())
}, { name: 'bus', dependencies: ['error-tracking', 'mongo'] })
