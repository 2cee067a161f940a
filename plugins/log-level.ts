import fp from 'fastify-plugin'
import { logLevels, type LogLevel } from '../schemas/log-level.ts'
import { type Config } from '../src/config.ts'

type Level = LogLevel['level']

declare module 'fastify' {
  interface FastifyInstance {
    /** What is written to the log, of the least severe level on. */
    logLevel: {
      get: () => Level
      /** Here at once, and on the other replicas as soon as they hear of it; until they are started anew. */
      set: (level: Level) => void
    }
  }
}

const TOPIC = 'log-level'

/** The level of the log, while the server runs. */
export default fp<{ config: Config }>(async (fastify, { config }) => {
  let current = config.LOG_LEVEL
  fastify.addHook('onClose', fastify.bus.subscribe(TOPIC, ({ level }) => {
    const known = logLevels.find((name) => name === level)
    if (known) fastify.log.level = current = known
  }))
  fastify.decorate('logLevel', { get: () => current, set: (level) => fastify.bus.publish(TOPIC, { level }) })
}, { name: 'log-level', dependencies: ['bus'] })
