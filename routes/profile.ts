import { type FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { AccountTenants, PasswordChange, Profile, ProfileInput } from '../schemas/account.ts'
import { NoBody, guarded, problems } from '../schemas/responses.ts'
import { Ref } from '../schemas/type.ts'

const tags = ['accounts']

/** One's own account. */
const profileRoutes: FastifyPluginAsyncTypebox = async (fastify) => {
  const { profiles } = fastify.accounts
  fastify.addHook('onRequest', fastify.withAccounts)

  fastify.get('/api/auth/profile', {
    config: { scope: 'account' },
    schema: {
      operationId: 'getProfile',
      summary: 'Read your account',
      tags,
      response: { 200: Ref(Profile), ...guarded(), ...problems(404) }
    }
  }, async ({ principal }) => await profiles.get(principal))

  fastify.put('/api/auth/profile', {
    config: { scope: 'account', audit: { action: 'account.updated' } },
    schema: {
      operationId: 'updateProfile',
      summary: 'Change your account',
      description: 'Another address needs the current password, and becomes that of the account when it is confirmed.',
      tags,
      body: Ref(ProfileInput),
      response: { 200: Ref(Profile), ...guarded(), ...problems(404, 409, 413, 415) }
    }
  }, async ({ principal, body, ip }) => await profiles.change(principal, body, ip))

  fastify.put('/api/auth/password', {
    config: { scope: 'account', audit: { action: 'account.password-changed' } },
    schema: {
      operationId: 'changePassword',
      summary: 'Change your password',
      description: 'Ends all your other sign-ins.',
      tags,
      body: Ref(PasswordChange),
      response: { 204: NoBody('Changed.'), ...guarded(), ...problems(404, 409, 413, 415) }
    }
  }, async ({ principal, body }, reply) => {
    await profiles.changePassword(principal, body.currentPassword, body.newPassword)
    return await reply.code(204).send()
  })

  fastify.get('/api/auth/tenants', {
    config: { scope: 'account' },
    schema: {
      operationId: 'listOwnTenants',
      summary: 'List the tenants that you are a member of',
      description: 'A login with `tenantId` signs in to another one.',
      tags,
      response: { 200: Ref(AccountTenants), ...guarded(), ...problems(404) }
    }
  }, async ({ principal }) => await profiles.tenants(principal))
}

export default profileRoutes
