import fp from 'fastify-plugin'

export interface Readiness {
  readonly ready: boolean
  /** What was checked, and `ok` or what is wrong with it. */
  readonly checks: Record<string, string>
}

declare module 'fastify' {
  interface FastifyInstance {
    /** Whether this process can serve. Never rejects, and answers within a second. */
    checkReadiness: () => Promise<Readiness>
  }
}

const PATIENCE_MS = 1000

/** Can this process serve: its store answers and it is not going down. */
export default fp(async (fastify) => {
  async function checkStore (): Promise<string> {
    const { promise, resolve } = Promise.withResolvers<string>()
    const timer = setTimeout(resolve, PATIENCE_MS, 'does not answer')
    fastify.store.ping().then(() => resolve('ok'), () => resolve('is away'))
    return await promise.finally(() => clearTimeout(timer))
  }

  fastify.decorate('checkReadiness', async () => {
    const checks = {
      store: await checkStore(),
      turns: fastify.chat.isDraining ? 'going down' : 'ok',
      model: fastify.model.name
    }
    return { ready: checks.store === 'ok' && checks.turns === 'ok', checks }
  })
}, { name: 'readiness', dependencies: ['mongo', 'services', 'model'] })
