import fp from 'fastify-plugin'
import { type Config } from '../src/config.ts'
import { createMistralProvider } from '../src/llm/mistral/mistral-client.ts'
import { withFallback } from '../src/llm/fallback-provider.ts'
import { createOfflineEmbedder } from '../src/llm/offline/offline-embedder.ts'
import { createOfflineProvider } from '../src/llm/offline/offline-provider.ts'
import { type ChatProvider, type Embedder } from '../src/llm/provider.ts'
import { watched } from '../src/llm/watched-provider.ts'
import { modelMetrics } from './metrics/models.ts'

declare module 'fastify' {
  interface FastifyInstance {
    model: ChatProvider
    embedder: Embedder
    /** Whether the model's server answers, as calls have shown; it is not called for this. */
    modelState: () => string
  }
}

/** The models that write replies and make vectors: Mistral's where there is a key for it, else the offline ones. */
export default fp<{ config: Config }>(async (fastify, { config }) => {
  const metrics = modelMetrics(fastify.metrics)
  const offline = createOfflineProvider()
  const mistral = config.MISTRAL_API_KEY === undefined
    ? undefined
    : createMistralProvider({
      baseUrl: config.MISTRAL_BASE_URL,
      apiKey: config.MISTRAL_API_KEY,
      defaultModel: config.MISTRAL_MODEL,
      dialect: config.MISTRAL_DIALECT,
      maxConcurrency: config.MISTRAL_MAX_CONCURRENCY,
      firstTokenTimeoutMs: config.MISTRAL_FIRST_TOKEN_TIMEOUT_MS,
      idleTimeoutMs: config.MISTRAL_IDLE_TIMEOUT_MS,
      timeoutMs: config.MISTRAL_TIMEOUT_MS,
      logger: fastify.log,
      traceCall: fastify.tracing?.traceCall,
      onAdmitted: metrics.admitted
    })
  if (mistral) metrics.watch(() => mistral.load())
  const model = watched(mistral ? withFallback(mistral, offline) : offline, metrics.attempt)
  fastify.decorate('model', model)
  fastify.decorate('modelState', () => mistral ? mistral.load().down.length > 0 ? 'does nothing but fail' : 'ok' : 'not used')
  fastify.decorate('embedder', mistral ?? createOfflineEmbedder())
  fastify.addHook('onClose', async () => await model.close())
}, { name: 'model', dependencies: ['metrics', 'tracing'] })
