import { type ChatProvider, type ModelAttempt } from './provider.ts'

/** The same provider; `onAttempt` is told of every call of a model, whoever asks for it. */
export function watched (provider: ChatProvider, onAttempt: (attempt: ModelAttempt) => void): ChatProvider {
  return {
    ...provider,
    generate: (request, options) => provider.generate(request, {
      ...options,
      onAttempt (attempt) {
        options.onAttempt?.(attempt)
        onAttempt(attempt)
      }
    })
  }
}
