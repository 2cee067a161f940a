import fp from 'fastify-plugin'
import { type Config } from '../src/config.ts'
import { ApiError } from '../src/errors.ts'
import { Completions } from '../src/openai/completions.ts'
import { Embeddings } from '../src/openai/embeddings.ts'
import { Models } from '../src/openai/models.ts'
import { Sayable } from '../src/openai/sayable.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /** What clients of OpenAI ask for. */
    openai: {
      readonly models: Models
      readonly completions: Completions
      readonly embeddings: Embeddings
    }
  }
  interface FastifyReply {
    /** Aborted when the client leaves before it has its answer. */
    abandoned: () => AbortSignal
  }
}

/** The core, for clients of OpenAI. */
export default fp<{ config: Config }>(async (fastify, { config }) => {
  const { store, chatbots, chat, model: provider, embedder, meter, quotas, usageLedger: ledger } = fastify
  const models = new Models(chatbots, store.chatbots)
  const sayable = new Sayable(config.MAX_MESSAGE_CHARS)
  fastify.decorate('openai', {
    models,
    completions: new Completions({ models, chat, provider, meter, quotas, sayable }),
    embeddings: new Embeddings({ embedder, quotas, ledger })
  })

  fastify.decorateReply('abandoned', function () {
    const controller = new AbortController()
    const { raw } = this
    const leave = () => {
      if (!raw.writableFinished) controller.abort(new ApiError('validation_failed', { detail: 'The client has left.' }))
    }
    if (raw.destroyed) leave()
    else raw.once('close', leave)
    return controller.signal
  })
}, { name: 'openai', dependencies: ['services', 'usage', 'model'] })
