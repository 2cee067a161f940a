import fp from 'fastify-plugin'
import { type Config } from '../src/config.ts'
import { ApiError } from '../src/errors.ts'
import { Idempotency } from '../src/idempotency/idempotency.ts'
import { Completions } from '../src/openai/completions.ts'
import { Earlier } from '../src/openai/earlier.ts'
import { Embeddings } from '../src/openai/embeddings.ts'
import { Models } from '../src/openai/models.ts'
import { ResponseStore } from '../src/openai/response-store.ts'
import { Responses } from '../src/openai/responses.ts'
import { Sayable } from '../src/openai/sayable.ts'
import { Writer } from '../src/openai/writer.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /** What clients of OpenAI ask for. */
    openai: {
      readonly models: Models
      readonly completions: Completions
      readonly responses: Responses
      readonly storedResponses: ResponseStore
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
  const { store, chatbots, chat, sessions, model: provider, embedder, meter, quotas, usageLedger: ledger } = fastify
  const models = new Models(chatbots, store.chatbots)
  const writer = new Writer({ chat, meter, quotas })
  const stored = new ResponseStore({ chat, sessions, messages: store.messages })
  const sayable = new Sayable(config.MAX_MESSAGE_CHARS)
  fastify.decorate('openai', {
    models,
    completions: new Completions({ models, chat, provider, writer, sayable }),
    responses: new Responses({
      models,
      chat,
      sessions,
      messages: store.messages,
      provider,
      writer,
      stored,
      earlier: new Earlier(store.transfers),
      sayable,
      idempotency: new Idempotency(store.idempotency)
    }),
    storedResponses: stored,
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
