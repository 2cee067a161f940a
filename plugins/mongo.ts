import fastifyMongo from '@fastify/mongodb'
import fp from 'fastify-plugin'
import { ConfigError, type Config } from '../src/config.ts'
import { startEmbeddedStore } from '../src/embedded-mongo/index.ts'
import { openStore, type Store } from '../src/store/store.ts'
import { storeMetrics } from './metrics/store.ts'

declare module 'fastify' {
  interface FastifyInstance {
    store: Store
    /** For the log: which store this is. */
    storeName: string
  }
}

// The driver's own defaults let a request hang for half a minute, and wait for a connection for ever.
const timeouts = { serverSelectionTimeoutMS: 2000, connectTimeoutMS: 2000, waitQueueTimeoutMS: 2000 }

// What is more only waits in the embedded store, which has no way to go. Another one may be far away.
const BUSY_EMBEDDED = 64
const BUSY = 256

const unparsable = new Set(['MongoParseError', 'MongoRuntimeError'])

/** Without its store this process is of no use; ended, it can be started again by whoever runs it. */
function dieOf (error: Error): void {
  setImmediate(() => { throw error })
}

/** The store: the MongoDB at `MONGODB_URI`, or the embedded one. Registered first, so that it is closed last. */
export default fp<{ config: Config }>(async (fastify, { config }) => {
  const embedded = config.MONGODB_URI === undefined
    ? await startEmbeddedStore({ dataDir: config.DATA_DIR, onError: dieOf })
    : undefined
  if (embedded) fastify.addHook('onClose', async () => await embedded.close())
  try {
    await fastify.register(fastifyMongo, {
      ...timeouts,
      url: config.MONGODB_URI ?? embedded!.uri,
      database: config.MONGODB_DATABASE,
      appName: 'parley',
      monitorCommands: true,
      ignoreUndefined: true
    })
  } catch (error) {
    // What the driver says of it may quote it, and it may hold a password.
    if (error instanceof Error && unparsable.has(error.name)) {
      throw new ConfigError('MONGODB_URI cannot be used: the driver does not accept it as a connection string.')
    }
    throw error
  }
  storeMetrics(fastify.metrics, fastify.mongo.client)
  fastify.tracing?.watchStore(fastify.mongo.client)
  fastify.decorate('store', await openStore(fastify.mongo.db!, {
    migrate: config.MIGRATE_ON_START === 'true',
    busyAt: embedded ? BUSY_EMBEDDED : BUSY,
    tell: (line) => { fastify.log.info(line) }
  }))
  fastify.decorate('storeName', embedded ? `embedded in ${config.DATA_DIR}, for one machine` : 'MongoDB')
}, { name: 'mongo', dependencies: ['metrics', 'tracing'] })
