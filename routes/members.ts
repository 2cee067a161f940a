import { type FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Member, MemberPage, MemberPatch } from '../schemas/member.ts'
import { PageQuery } from '../schemas/page.ts'
import { NoBody, guarded, problems } from '../schemas/responses.ts'
import { Id } from '../schemas/text.ts'
import { Ref, Type } from '../schemas/type.ts'

const tags = ['members']
const params = Type.Object({ id: Id })

/** Who is in the tenant. */
const memberRoutes: FastifyPluginAsyncTypebox = async (fastify) => {
  const { members } = fastify.accounts
  const before = members.get.bind(members)

  fastify.get('/api/members', {
    config: { scope: 'admin' },
    schema: {
      operationId: 'listMembers',
      summary: 'List who is in the tenant',
      tags,
      querystring: PageQuery,
      response: { 200: Ref(MemberPage), ...guarded() }
    }
  }, async ({ principal, query }) => await members.list(principal, query))

  fastify.patch('/api/members/:id', {
    config: { scope: 'admin', audit: { action: 'member.updated', before } },
    schema: {
      operationId: 'patchMember',
      summary: 'Change what a member is',
      description: 'Another role ends their sign-ins to this tenant. Only owners make and touch owners, and a tenant keeps at least one.',
      tags,
      params,
      body: Ref(MemberPatch),
      response: { 200: Ref(Member), ...guarded(), ...problems(404, 409, 413, 415) }
    }
  }, async ({ principal, params, body }) => await members.setRole(principal, params.id, body.role))

  fastify.delete('/api/members/:id', {
    config: { scope: 'admin', audit: { action: 'member.removed', before } },
    schema: {
      operationId: 'removeMember',
      summary: 'Take a member out of the tenant',
      description: 'Their tokens for this tenant stop working within 5 s on every replica. Their account stays.',
      tags,
      params,
      response: { 204: NoBody('Removed.'), ...guarded(), ...problems(404, 409, 413, 415) }
    }
  }, async ({ principal, params }, reply) => {
    await members.remove(principal, params.id)
    return await reply.code(204).send()
  })
}

export default memberRoutes
