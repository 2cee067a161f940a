import { ApiError } from '../errors.ts'
import { type ChatProvider, type GenerationEvent, type GenerationOptions, type GenerationRequest } from './provider.ts'

/**
 * Lets `offline` answer the requests that allow it, where `primary` is away: it has failed before any text, for a
 * reason that may pass. A refused request stays refused, and a server that has too much to do is not away.
 */
export function withFallback (primary: ChatProvider, offline: ChatProvider): ChatProvider {
  return {
    name: primary.name,
    isModel: primary.isModel,
    windowOf: (model) => primary.windowOf(model),
    generate: (request, options) => request.fallback === 'offline'
      ? generateWithFallback(primary, offline, request, options)
      : primary.generate(request, options),
    async close () {
      await Promise.all([primary.close(), offline.close()])
    }
  }
}

async function * generateWithFallback (
  primary: ChatProvider, offline: ChatProvider, request: GenerationRequest, options: GenerationOptions
): AsyncGenerator<GenerationEvent> {
  let begun = false
  try {
    for await (const event of primary.generate(request, options)) {
      begun = true
      yield event
    }
    return
  } catch (error) {
    if (begun || !isAway(error)) throw error
  }
  for await (const event of offline.generate(request, options)) {
    yield event.type === 'end' ? { ...event, fallback: true } : event
  }
}

function isAway (error: unknown): boolean {
  return error instanceof ApiError && error.code.startsWith('upstream_') && error.kind.retryable
}
