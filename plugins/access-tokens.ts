import jwt from '@fastify/jwt'
import fp from 'fastify-plugin'
import { AccessTokens, LEEWAY_MS, type JwtLibrary } from '../src/auth/access-tokens.ts'
import { MachineTokens } from '../src/auth/machine-tokens.ts'
import { loadOwnKeys } from '../src/auth/own-keys.ts'
import { type Config } from '../src/config.ts'
import { durationMs } from '../src/duration.ts'

declare module 'fastify' {
  interface FastifyInstance {
    accessTokens: AccessTokens
    machineTokens: MachineTokens
  }
}

/** JWTs, by @fastify/jwt. */
export default fp<{ config: Config }>(async (fastify, { config }) => {
  const { JWT_ISSUER: issuer, JWT_AUDIENCE: audience } = config
  await fastify.register(jwt, {
    // There is no key for whatever comes: each call brings the one that the token's header may ask for, and its algorithm.
    secret: (_request, _token, done) => { done(new Error('no key'), undefined) },
    verify: {
      clockTolerance: LEEWAY_MS,
      // A claim that is only allowed to have some values may still be absent: it must be required, too.
      requiredClaims: ['sub', 'exp', ...(issuer !== undefined ? ['iss'] : []), ...(audience !== undefined ? ['aud'] : [])],
      ...(issuer !== undefined && { allowedIss: issuer }),
      ...(audience !== undefined && { allowedAud: audience })
    }
  })
  const jwtLibrary: JwtLibrary = {
    sign: (claims, { alg, kid, signingKey }) =>
      fastify.jwt.sign(claims, { algorithm: alg, key: signingKey, header: { alg, typ: 'at+jwt' }, ...(kid !== undefined && { kid }) }),
    verify: (token, { alg, key }) => fastify.jwt.verify(token, { algorithms: [alg], key })
  }
  const { keys, published } = await loadOwnKeys(config)
  const { remoteKeys } = fastify
  const accessTokens = new AccessTokens({
    jwt: jwtLibrary,
    keys,
    published,
    ...(remoteKeys && { remoteKey: async (alg, kid) => await remoteKeys.find(alg, kid) }),
    issuer,
    audience,
    ttlMs: durationMs(config.ACCESS_TOKEN_TTL),
    isFamilyAlive: async (familyId) => await fastify.store.refreshFamilies.isFamilyAlive(familyId),
    livingKey: async (keyId) => await fastify.apiKeyVerifier.living(keyId)
  })
  fastify.decorate('accessTokens', accessTokens)
  fastify.decorate('machineTokens', new MachineTokens({ accessTokens, verifier: fastify.apiKeyVerifier, chatbots: fastify.chatbots }))
}, { name: 'access-tokens', dependencies: ['api-keys', 'services', 'jwks'] })
