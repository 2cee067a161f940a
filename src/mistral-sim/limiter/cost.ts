import { type Tokenizer } from '../replies/usage.ts'

const PROMPT_FIELDS = ['messages', 'prompt', 'suffix', 'input', 'inputs', 'instructions']

/** Tokens that a request may use, as far as a body that has not been checked tells: its texts and `max_tokens`. */
export function costOf (body: unknown, tokenizer: Tokenizer): number {
  if (typeof body !== 'object' || body === null) return 0
  const prompt = Object.entries(body)
    .filter(([name]) => PROMPT_FIELDS.includes(name))
    .flatMap(([, value]: [string, unknown]) => textsIn(value))
  const reserved = 'max_tokens' in body && typeof body.max_tokens === 'number' ? Math.max(0, body.max_tokens) : 0
  return prompt.reduce((sum, text) => sum + tokenizer(text), 0) + reserved
}

function textsIn (value: unknown): string[] {
  if (typeof value === 'string') return [value]
  return typeof value === 'object' && value !== null ? Object.values(value).flatMap(textsIn) : []
}
