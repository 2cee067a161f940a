import { statfs } from 'node:fs/promises'
import fp from 'fastify-plugin'
import { type Config } from '../src/config.ts'
import { HealthWatch, type Watched } from '../src/health/health-watch.ts'

export interface Readiness {
  readonly ready: boolean
  /** It serves, but something needs to be looked at. */
  readonly degraded: boolean
  /** What was checked, and `ok` or what is wrong with it. */
  readonly checks: Record<string, string>
}

declare module 'fastify' {
  interface FastifyInstance {
    /** Whether this process can serve. Never rejects, and answers at once. */
    checkReadiness: () => Promise<Readiness>
  }
}

export interface ReadinessOptions {
  readonly config: Config
  readonly space: Watched['space']
}

/** Can this process serve: its store answers and it is not going down. The rest is for people. */
export default fp<ReadinessOptions>(async (fastify, { config: { MONGODB_URI, DATA_DIR }, space }) => {
  const spaceOfData = async () => {
    const { bavail, blocks, bsize } = await statfs(DATA_DIR)
    return { freeBytes: bavail * bsize, totalBytes: blocks * bsize }
  }
  const watch = new HealthWatch({
    ping: async () => await fastify.store.ping(),
    jobsWait: async () => (await fastify.store.webhookDeliveries.backlog()).oldestMs,
    space: space ?? (MONGODB_URI === undefined ? spaceOfData : undefined)
  })
  fastify.addHook('onClose', async () => watch.close())

  fastify.decorate('checkReadiness', async () => {
    const serving = { store: await watch.store(), turns: fastify.chat.isDraining ? 'going down' : 'ok' }
    const others = { upstream: fastify.modelState(), jobs: watch.jobs, disk: watch.disk }
    const isWell = (state: string) => state === 'ok' || state === 'not used'
    const ready = Object.values(serving).every(isWell)
    return { ready, degraded: !Object.values(others).every(isWell), checks: { ...serving, model: fastify.model.name, ...others } }
  })
}, { name: 'readiness', dependencies: ['mongo', 'services', 'model'] })
