import { type FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { EmailVerification, PasswordReset, PasswordResetRequest } from '../schemas/account.ts'
import { NoBody, guarded, open, problems } from '../schemas/responses.ts'
import { Ref } from '../schemas/type.ts'

const tags = ['accounts']

/** What goes by mail: confirming an address, setting a password that was forgotten. */
const accountMail: FastifyPluginAsyncTypebox = async (fastify) => {
  const { registration, recovery } = fastify.accounts
  fastify.addHook('onRequest', fastify.withAccounts)

  fastify.post('/api/auth/verify-email', {
    config: { scope: 'public', audit: { action: 'account.email-verified' } },
    schema: {
      operationId: 'verifyEmail',
      summary: 'Confirm an e-mail address',
      tags,
      body: Ref(EmailVerification),
      response: { 204: NoBody('Confirmed.'), ...open(), ...problems(404, 413, 415) }
    }
  }, async (request, reply) => {
    const id = await registration.verifyEmail(request.body.token)
    request.auditedAs({ account: { id }, targetId: id })
    return await reply.code(204).send()
  })

  fastify.post('/api/auth/verify-email/resend', {
    config: { scope: 'account' },
    schema: {
      operationId: 'resendVerification',
      summary: 'Send the mail that confirms your address once more',
      description: 'Where there is nothing to confirm, nothing is sent.',
      tags,
      response: { 202: NoBody('It is on its way.'), ...guarded(), ...problems(404, 413, 415) }
    }
  }, async ({ principal, ip }, reply) => {
    await registration.resend(principal, ip)
    return await reply.code(202).send()
  })

  fastify.post('/api/auth/password-reset', {
    config: { scope: 'public' },
    schema: {
      operationId: 'requestPasswordReset',
      summary: 'Ask for a mail to set another password',
      description: 'Whether there is an account with this address is not told.',
      tags,
      body: Ref(PasswordResetRequest),
      response: { 202: NoBody('If there is an account, a mail is on its way.'), ...open(), ...problems(404, 413, 415) }
    }
  }, async ({ body, ip }, reply) => {
    await recovery.request(body.email, ip)
    return await reply.code(202).send()
  })

  fastify.post('/api/auth/password-reset/confirm', {
    config: { scope: 'public', audit: { action: 'account.password-reset' } },
    schema: {
      operationId: 'confirmPasswordReset',
      summary: 'Set another password',
      description: 'Ends all sign-ins of the account. The token is good for an hour and for one use.',
      tags,
      body: Ref(PasswordReset),
      response: { 204: NoBody('Set.'), ...open(), ...problems(404, 409, 413, 415) }
    }
  }, async (request, reply) => {
    const { token, password } = request.body
    const id = await recovery.confirm(token, password)
    request.auditedAs({ account: { id }, targetId: id })
    return await reply.code(204).send()
  })
}

export default accountMail
