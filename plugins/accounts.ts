import { type onRequestAsyncHookHandler } from 'fastify'
import fp from 'fastify-plugin'
import { Accounts } from '../src/accounts/accounts.ts'
import { normalizeEmail } from '../src/accounts/email-address.ts'
import { Letters } from '../src/accounts/letters.ts'
import { Passwords } from '../src/accounts/passwords.ts'
import { SignIns } from '../src/accounts/sign-ins.ts'
import { Tenants } from '../src/accounts/tenants.ts'
import { type Config } from '../src/config.ts'
import { durationMs } from '../src/duration.ts'
import { ApiError } from '../src/errors.ts'

declare module 'fastify' {
  interface FastifyInstance {
    accounts: Accounts
    tenants: Tenants
    /** For routes that only a server with accounts has. */
    withAccounts: onRequestAsyncHookHandler
  }
}

/** People with accounts, and the tenants that they are in. */
export default fp<{ config: Config }>(async (fastify, { config }) => {
  const { store, accessTokens, limits, outbox } = fastify
  const { PLATFORM_ADMINS, PUBLIC_URL, PORT, NODE_ENV, REFRESH_TOKEN_TTL } = config
  const accounts = new Accounts({
    store,
    limits,
    passwords: new Passwords(),
    letters: new Letters({ outbox, tokens: store.oneTimeTokens, publicUrl: PUBLIC_URL ?? `http://127.0.0.1:${PORT}` }),
    signIns: new SignIns({
      store,
      accessTokens,
      refreshTokenMs: durationMs(REFRESH_TOKEN_TTL),
      platformAdmins: new Set(PLATFORM_ADMINS.split(',').map((email) => normalizeEmail(email.trim())))
    }),
    registration: config.REGISTRATION ?? (NODE_ENV === 'production' ? 'closed' : 'open')
  })
  fastify.decorate('accounts', accounts)
  fastify.decorate('tenants', new Tenants(store.tenants))
  fastify.decorate<onRequestAsyncHookHandler>('withAccounts', async () => {
    if (!accessTokens.canIssue) {
      throw new ApiError('not_found', { detail: 'This server has no accounts: it has neither JWT_SECRET nor JWT_KEYS_FILE to sign with.' })
    }
  })
}, { name: 'accounts', dependencies: ['mail', 'limits', 'access-tokens'] })
