import { type FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { SignIn } from '../schemas/account.ts'
import { Invitation, InvitationAcceptance, InvitationInput, InvitationPage } from '../schemas/member.ts'
import { PageQuery } from '../schemas/page.ts'
import { NoBody, guarded, problems } from '../schemas/responses.ts'
import { Id } from '../schemas/text.ts'
import { Ref, Type } from '../schemas/type.ts'

const tags = ['members']

/** Asking people into the tenant. */
const invitationRoutes: FastifyPluginAsyncTypebox = async (fastify) => {
  const { invitations } = fastify.accounts
  fastify.addHook('onRequest', fastify.withAccounts)

  fastify.post('/api/invitations', {
    config: { scope: 'admin', idempotent: true, audit: { action: 'invitation.created' } },
    schema: {
      operationId: 'createInvitation',
      summary: 'Invite somebody',
      description: 'They get a mail with a token that is good for 7 days and for one use, and is told nowhere else. An earlier invitation of ' +
        'theirs to this tenant is withdrawn.',
      tags,
      body: Ref(InvitationInput),
      response: { 201: Ref(Invitation), ...guarded(), ...problems(404, 409, 413, 415) }
    }
  }, async ({ principal, body, resourceId }, reply) =>
    await reply.code(201).send(await invitations.create(principal, body, resourceId)))

  fastify.get('/api/invitations', {
    config: { scope: 'admin' },
    schema: {
      operationId: 'listInvitations',
      summary: 'List invitations that are not accepted yet, the newest first',
      tags,
      querystring: PageQuery,
      response: { 200: Ref(InvitationPage), ...guarded(), ...problems(404) }
    }
  }, async ({ principal, query }) => await invitations.list(principal, query))

  fastify.delete('/api/invitations/:id', {
    config: { scope: 'admin', audit: { action: 'invitation.withdrawn', before: invitations.get.bind(invitations) } },
    schema: {
      operationId: 'withdrawInvitation',
      summary: 'Withdraw an invitation',
      tags,
      params: Type.Object({ id: Id }),
      response: { 204: NoBody('Withdrawn.'), ...guarded(), ...problems(404, 413, 415) }
    }
  }, async ({ principal, params }, reply) => {
    await invitations.withdraw(principal, params.id)
    return await reply.code(204).send()
  })

  fastify.post('/api/auth/invitations/accept', {
    config: { scope: 'public', audit: { action: 'invitation.accepted' } },
    schema: {
      operationId: 'acceptInvitation',
      summary: 'Accept an invitation',
      description: 'Whoever has an account with the invited address gives its password; else one is made, with a name and a new password. ' +
        'Either way the answer signs in.',
      tags: ['accounts'],
      body: Ref(InvitationAcceptance),
      response: { 200: Ref(SignIn), ...guarded(), ...problems(404, 409, 413, 415) }
    }
  }, async (request, reply) => {
    const signedIn = await invitations.accept(request.body, request.ip)
    const { user, tenant } = signedIn
    request.auditedAs({ tenantId: tenant.id, account: user, targetId: user.id })
    return await reply.sendSignIn(signedIn, request.body.cookie === true)
  })
}

export default invitationRoutes
