import { type FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { GrantedToken, PublishedKeys, TokenRequest, VisitorToken, VisitorTokenInput } from '../schemas/machine-token.ts'
import { guarded, problems } from '../schemas/responses.ts'
import { Ref } from '../schemas/type.ts'
import { ApiError } from '../src/errors.ts'

const tags = ['credentials']
const MAX_FORM_BYTES = 4096

/** The members of a form, each given once. */
function membersOf (form: string): Record<string, string> {
  const members = [...new URLSearchParams(form)]
  if (new Set(members.map(([name]) => name)).size < members.length) {
    throw new ApiError('validation_failed', {
      detail: 'A member of the form is given twice.', members: { errors: [{ path: '', message: 'must have each member once' }] }
    })
  }
  return Object.fromEntries(members)
}

/** Short-lived tokens, made with API keys. */
const machineTokenRoutes: FastifyPluginAsyncTypebox = async (fastify) => {
  const { machineTokens, accessTokens } = fastify

  await fastify.register(async (scoped: typeof fastify) => {
    // Here and nowhere else: a browser sends a form across origins without asking first.
    scoped.addContentTypeParser('application/x-www-form-urlencoded', { parseAs: 'string', bodyLimit: MAX_FORM_BYTES },
      async (_request: unknown, form: string | Buffer) => membersOf(form as string))

    scoped.post('/api/auth/token', {
      config: { scope: 'public' },
      schema: {
        operationId: 'grantToken',
        summary: 'Have a short-lived token for an API key',
        description: 'OAuth 2 client credentials (RFC 6749, section 4.4). The key stands in `Authorization` (`Bearer <key>`, or `Basic` ' +
          'with the `id` or `prefix` of the key as the name and the key as the password), in `X-API-Key`, or in the body. Failures are problem ' +
          'documents, as everywhere. The token is refused when its key is.',
        tags,
        body: Ref(TokenRequest),
        consumes: ['application/x-www-form-urlencoded', 'application/json'],
        response: { 200: Ref(GrantedToken), ...guarded(), ...problems(404, 413, 415) }
      }
    }, async ({ headers, body }, reply) => {
      return await reply.header('pragma', 'no-cache').send(await machineTokens.forClient(headers, body))
    })
  })

  fastify.post('/api/visitor-tokens', {
    config: { scope: 'sessions:write' },
    schema: {
      operationId: 'createVisitorToken',
      summary: 'Let a visitor talk to one chatbot',
      description: 'Takes an API key: it is for your server, which hands the token to the browser. The token covers `chat` with this chatbot ' +
        'and nothing else, and is refused when the key is.',
      tags,
      body: Ref(VisitorTokenInput),
      response: { 201: Ref(VisitorToken), ...guarded(), ...problems(404, 413, 415) }
    }
  }, async ({ principal, body }, reply) => await reply.code(201).send(await machineTokens.forVisitor(principal, body)))

  fastify.get('/.well-known/jwks.json', {
    config: { scope: 'public', unlimited: true },
    schema: {
      operationId: 'getJwks',
      summary: 'The public keys that tokens of this server can be checked with',
      description: 'Empty where tokens are signed with a shared secret.',
      tags,
      response: { 200: Ref(PublishedKeys), ...problems(400, 500) }
    }
  }, async (_request, reply) => {
    return await reply.header('cache-control', 'public, max-age=300').send({ keys: [...accessTokens.published] })
  })
}

export default machineTokenRoutes
