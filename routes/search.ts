import { type FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { guarded } from '../schemas/responses.ts'
import { SearchPage, SearchQuery } from '../schemas/search.ts'
import { Ref } from '../schemas/type.ts'

/** Finding messages by what they say. */
const searchRoutes: FastifyPluginAsyncTypebox = async (fastify) => {
  const { messageSearch } = fastify

  fastify.get('/api/messages/search', {
    config: { scope: ['sessions:read', 'chat'], audit: { action: 'messages.searched', only: 'staff-reads' } },
    schema: {
      operationId: 'searchMessages',
      summary: 'Search what was said, the best match first',
      description: 'Case, accents and common endings do not matter. A message can be found as soon as it was sent, a reply as soon ' +
        'as it has ended. With the scope `chat`, only the caller\'s own sessions are searched.',
      tags: ['messages'],
      querystring: SearchQuery,
      response: { 200: Ref(SearchPage), ...guarded() }
    }
  }, async ({ principal, query }) => await messageSearch.find(principal, query))
}

export default searchRoutes
