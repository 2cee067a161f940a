import { LRUCache } from 'lru-cache'
import { type ChatProvider, type GenerationEvent, type GenerationOptions, type GenerationRequest } from '../provider.ts'
import { OFFLINE_MODEL } from '../models.ts'
import { estimateUsage } from '../usage.ts'
import { type Answerer, createAnswerer } from './answerer.ts'
import { dontKnow } from './dont-know.ts'
import { loadLanguage, localeOf } from './languages.ts'

// Characters of indexed instructions kept: a hundred chatbots with the longest instructions there are, about 80 MB.
const CACHED_CHARS = 2_000_000

const QUESTION_MARK = /[?？؟]\s*$/u

/**
 * The provider without a model: it answers with sentences of the chatbot's own instructions, or that it does not know.
 * It needs no network and never fails.
 */
export function createOfflineProvider (): ChatProvider {
  const answerers = new LRUCache<string, Answerer>({
    maxSize: CACHED_CHARS,
    sizeCalculation: (_, key) => key.length
  })

  async function answererFor (instructions: string, locale: Intl.Locale): Promise<Answerer> {
    const key = `${locale.baseName}\n${instructions}`
    const known = answerers.get(key)
    if (known !== undefined) return known
    const answerer = createAnswerer(instructions, await loadLanguage(locale))
    answerers.set(key, answerer)
    return answerer
  }

  async function reply ({ messages, instructions, language }: GenerationRequest): Promise<string> {
    const locale = localeOf(language)
    const answerer = await answererFor(instructions, locale)
    const [question, previous] = messages.filter(({ role }) => role === 'user').map(({ content }) => content).reverse()
    if (question === undefined) return dontKnow(locale)
    // "And where?" asks about what was asked before; "Thank you!" does not.
    const followsUp = previous !== undefined && QUESTION_MARK.test(question) && !answerer.standsAlone(question)
    return answerer.answer(followsUp ? previous : question) ?? dontKnow(locale)
  }

  return {
    name: 'offline',
    isModel: false,
    windowOf: () => Infinity,
    async * generate (request: GenerationRequest, options: GenerationOptions): AsyncGenerator<GenerationEvent> {
      const { stream, signal, onAttempt } = options
      signal.throwIfAborted()
      const started = performance.now()
      const text = await reply(request)
      let [said, outcome]: [string, 'aborted' | 'completed'] = ['', 'aborted']
      try {
        for (const piece of stream ? words(text, localeOf(request.language)) : [text]) {
          signal.throwIfAborted()
          said += piece
          yield { type: 'text', text: piece }
        }
        signal.throwIfAborted()
        outcome = 'completed'
        yield { type: 'end', finishReason: 'stop', model: OFFLINE_MODEL, usage: estimateUsage(request.messages, text) }
      } finally {
        onAttempt?.({ model: OFFLINE_MODEL, outcome, usage: estimateUsage(request.messages, said), attempt: 1, ms: performance.now() - started })
      }
    },
    async close () {
      answerers.clear()
    }
  }
}

/** The text in pieces of one word each, with the space and punctuation that follow it. */
function words (text: string, locale: Intl.Locale): string[] {
  const pieces: string[] = []
  for (const { segment, isWordLike } of new Intl.Segmenter(locale, { granularity: 'word' }).segment(text)) {
    if (isWordLike === true || pieces.length === 0) pieces.push(segment)
    else pieces.push((pieces.pop() ?? '') + segment)
  }
  return pieces
}
