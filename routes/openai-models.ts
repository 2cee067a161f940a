import { type FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Embeddings, EmbeddingsInput } from '../schemas/openai-embedding.ts'
import { OpenAiModel, OpenAiModelList } from '../schemas/openai-model.ts'
import { openAiProblems } from '../schemas/responses.ts'
import { Ref, Type } from '../schemas/type.ts'

const tags = ['openai']

/** Models, as OpenAI's clients look for them, and what is asked of models alone. */
const openAiModels: FastifyPluginAsyncTypebox = async (fastify) => {
  const { models, embeddings } = fastify.openai

  fastify.get('/v1/models', {
    config: { scope: ['configs:read', 'chat'] },
    schema: {
      operationId: 'listModels',
      summary: 'List configurations as models',
      tags,
      response: { 200: Ref(OpenAiModelList), ...openAiProblems(400, 401, 403, 429, 500, 503) }
    }
  }, async ({ principal }) => await models.list(principal))

  fastify.get('/v1/models/:model', {
    config: { scope: ['configs:read', 'chat'] },
    schema: {
      operationId: 'getModel',
      summary: 'Read a configuration as a model',
      tags,
      params: Type.Object({ model: Type.String({ minLength: 1, maxLength: 200, description: 'A configuration, by its id or its name.' }) }),
      response: { 200: Ref(OpenAiModel), ...openAiProblems(400, 401, 403, 404, 429, 500, 503) }
    }
  }, async ({ principal, params }) => await models.get(principal, params.model))

  fastify.post('/v1/embeddings', {
    config: { scope: ['sessions:write', 'chat'], compressed: true },
    schema: {
      operationId: 'createEmbeddings',
      summary: 'Make vectors of texts',
      description: 'As OpenAI\'s operation of this name. Without a model, the vectors count words and say so by the name of their `model`.',
      tags,
      body: Ref(EmbeddingsInput),
      response: { 200: Ref(Embeddings), ...openAiProblems(400, 401, 403, 413, 415, 429, 500, 502, 503, 504) }
    }
  }, async ({ principal, body }, reply) => await embeddings.embed(principal, body, reply.abandoned()))
}

export default openAiModels
