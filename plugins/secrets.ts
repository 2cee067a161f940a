import fp from 'fastify-plugin'
import { type Config } from '../src/config.ts'
import { localKeyRing, parseKeyRing, type KeyRing } from '../src/secrets/key-ring.ts'
import { Secrets } from '../src/secrets/secrets.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /** Encrypts secrets that are stored. Undefined in production without `ENCRYPTION_KEYS`: what needs it is not to be had. */
    secrets: Secrets | undefined
  }
}

/** The keys that encrypt what is stored: those of the environment or, except in production, one that the server makes itself. */
export default fp<{ config: Config }>(async (fastify, { config: { ENCRYPTION_KEYS, NODE_ENV, DATA_DIR } }) => {
  let ring = ENCRYPTION_KEYS === undefined ? undefined : parseKeyRing(ENCRYPTION_KEYS)
  const keys = (): KeyRing => {
    ring ??= localKeyRing(DATA_DIR)
    return ring
  }
  fastify.decorate('secrets', ring || NODE_ENV !== 'production' ? new Secrets(keys) : undefined)
}, { name: 'secrets' })
