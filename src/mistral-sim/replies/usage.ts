import { type Content } from '../schemas/content.ts'
import { type Message } from '../schemas/messages.ts'

/** Counts the tokens of a text. */
export type Tokenizer = (text: string) => number

/** The `usage` of a reply. */
export interface Usage {
  prompt_tokens: number
  total_tokens: number
  completion_tokens: number
  prompt_tokens_details?: { cached_tokens: number }
  service_tier?: string
}

const TOKENS_PER_MESSAGE = 4
const BYTES_PER_TOKEN = 4
// The API reports cached tokens in whole blocks.
const CACHE_BLOCK = 64
const MAX_CACHE_KEYS = 1000

/** The simulator's own tokenizer: four bytes of UTF-8 are a token. */
export const fourBytesAToken: Tokenizer = (text) => Math.ceil(Buffer.byteLength(text) / BYTES_PER_TOKEN)

/** The text of a message's content; thinking and everything that is not text is left out. */
export function textOf (content: Content): string {
  if (typeof content === 'string') return content
  return (content ?? []).map((chunk) => 'text' in chunk ? chunk.text : '').join('')
}

/** Every text of a message that costs tokens: its content and the calls of tools. */
export function billedText (message: Message): string {
  const calls = message.role === 'assistant' ? message.tool_calls ?? [] : []
  const names = calls.map(({ function: { name, arguments: args } }) =>
    name + (typeof args === 'string' ? args : JSON.stringify(args)))
  return textOf(message.content) + names.join('')
}

/** Tokens of a prompt: its texts, and a few for each message's frame. */
export function promptTokens (texts: string[], tokenizer: Tokenizer): number {
  return texts.reduce((sum, text) => sum + tokenizer(text) + TOKENS_PER_MESSAGE, 0)
}

/** The longest beginning of the text within so many tokens, cut between code points. */
export function cutToTokens (text: string, tokens: number, tokenizer: Tokenizer): string {
  if (tokenizer(text) <= tokens) return text
  const points = [...text]
  let low = 0
  let high = points.length
  while (low < high) {
    const middle = Math.ceil((low + high) / 2)
    if (tokenizer(points.slice(0, middle).join('')) <= tokens) low = middle
    else high = middle - 1
  }
  return points.slice(0, low).join('')
}

/** Remembers the last prompt of each cache key, to tell how much of the next one would have been cached. */
export class PromptCache {
  readonly #prompts = new Map<string, string>()
  readonly #tokenizer: Tokenizer

  constructor (tokenizer: Tokenizer) {
    this.#tokenizer = tokenizer
  }

  /** Tokens that this prompt begins with in common with the key's last one, in whole blocks; replaces that prompt. */
  cachedTokens (key: string, texts: string[]): number {
    const prompt = texts.join('\n')
    const last = this.#prompts.get(key) ?? ''
    this.#prompts.delete(key)
    this.#prompts.set(key, prompt)
    for (const oldest of this.#prompts.keys()) {
      if (this.#prompts.size <= MAX_CACHE_KEYS) break
      this.#prompts.delete(oldest)
    }
    let common = 0
    while (common < prompt.length && prompt[common] === last[common]) common++
    return Math.floor(this.#tokenizer(prompt.slice(0, common)) / CACHE_BLOCK) * CACHE_BLOCK
  }

  clear (): void {
    this.#prompts.clear()
  }
}
