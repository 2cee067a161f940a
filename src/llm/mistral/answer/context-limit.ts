import { describeErrorBody } from './error-body.ts'

/** What a refusal says about a prompt that does not fit; what it does not say is absent. */
export interface ContextLimit {
  /** The window of the model, in tokens. */
  readonly windowTokens: number | undefined
  /** What the prompt was counted as. */
  readonly promptTokens: number | undefined
}

// Mistral, vLLM and OpenAI, llama.cpp.
const WINDOW = /too large for model with (\d+) maximum|maximum context length (?:is|of) (\d+)|available context size \((\d+)/i
const PROMPT = /contains (\d+) tokens|(\d+) in the messages|resulted in (\d+) tokens|requested (\d+) tokens|request \((\d+) tokens/i
const TOO_LARGE = /maximum context length|exceeds? the available context size/i

/** Reads the body of a refusal; nothing when its reason is another one. */
export function readContextLimit (body: string): ContextLimit | undefined {
  const { message = '', code } = describeErrorBody(body)
  if (!TOO_LARGE.test(message) && code !== 'context_length_exceeded') return undefined
  return { windowTokens: firstNumber(WINDOW, message), promptTokens: firstNumber(PROMPT, message) }
}

function firstNumber (pattern: RegExp, text: string): number | undefined {
  const digits = pattern.exec(text)?.slice(1).find((group) => group !== undefined)
  const number = Number(digits)
  return Number.isSafeInteger(number) && number > 0 ? number : undefined
}

/**
 * The window to trim a prompt to that was refused, when its size was estimated as `sentTokens`: smaller than that in
 * any case, or the same would be sent again.
 */
export function windowAfter ({ windowTokens, promptTokens }: ContextLimit, sentTokens: number): number {
  if (windowTokens === undefined) return Math.floor(sentTokens / 2)
  // The model's own count corrects the estimate.
  const scaled = promptTokens === undefined ? windowTokens : Math.floor(windowTokens * sentTokens / promptTokens)
  return scaled < sentTokens ? scaled : Math.floor(sentTokens / 2)
}
