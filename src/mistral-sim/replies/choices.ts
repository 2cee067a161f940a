import { type ChatCompletionRequest } from '../schemas/chat.ts'
import { type Message } from '../schemas/messages.ts'
import { hex, canonical } from '../digest.ts'
import { minimalInstance } from './json-replies.ts'
import { type SimToolCall, toolCalls } from './tool-replies.ts'
import { cutToTokens, textOf, type Tokenizer } from './usage.ts'

/** What chat and agent requests have in common. */
export type Conversation = Omit<ChatCompletionRequest, 'model' | 'temperature' | 'top_p' | 'safe_prompt'>

/** One generated choice. */
export interface Choice {
  text: string
  thinking?: string
  toolCalls: SimToolCall[]
  finishReason: 'stop' | 'length' | 'tool_calls'
}

/** What a choice is made from, besides the request itself. */
export interface Maker {
  /** Name of the model as the request has it. */
  model: string
  /** Whether the model thinks when `reasoning_effort` is high. */
  reasoning: boolean
  tokenizer: Tokenizer
  /** Differs between requests of one simulator, so that ids of calls do. */
  seed: string
  /** The text that a fault wants. */
  content?: string | undefined
}

/** The choices of a reply; the same request gets the same texts. */
export function makeChoices (request: Conversation, maker: Maker): Choice[] {
  return Array.from({ length: request.n ?? 1 }, (_, index) => makeChoice(request, maker, index))
}

function makeChoice (request: Conversation, maker: Maker, index: number): Choice {
  if (maker.content !== undefined) return shorten(maker.content, request, maker.tokenizer)
  const calls = toolCalls(request, `${maker.seed}:${index}`)
  if (calls.length > 0) return { text: '', toolCalls: calls, finishReason: 'tool_calls' }
  const suffix = index === 0 ? '' : ` #${index + 1}`
  const full = prefixOf(request.messages) + body(request, maker) + suffix
  const choice = shorten(full, request, maker.tokenizer)
  if (maker.reasoning && request.reasoning_effort === 'high') {
    choice.thinking = `The user wrote ${lastUserText(request.messages).length} characters.`
  }
  return choice
}

function body (request: Conversation, maker: Maker): string {
  const { messages, response_format: format } = request
  const last = lastUserText(messages)
  if (format?.type === 'json_object') return JSON.stringify({ sim: true, echo: last })
  if (format?.type === 'json_schema') return JSON.stringify(minimalInstance(format.json_schema?.schema ?? {}))
  const mark = `sim:${hex(canonical([maker.model, messages, request.random_seed ?? null]), 8)} `
  return mark + (messages.at(-1)?.role === 'tool' ? toolResults(messages) : last)
}

/** Applies `stop` and `max_tokens`, in that order, as a model would meet them. */
export function shorten (
  full: string, limits: Pick<Conversation, 'stop' | 'max_tokens'>, tokenizer: Tokenizer
): Choice {
  const stops = typeof limits.stop === 'string' ? [limits.stop] : limits.stop ?? []
  const ends = stops.filter((stop) => stop !== '').map((stop) => full.indexOf(stop)).filter((at) => at >= 0)
  const stopped = full.slice(0, Math.min(full.length, ...ends))
  const text = typeof limits.max_tokens === 'number'
    ? cutToTokens(stopped, limits.max_tokens, tokenizer)
    : stopped
  return { text, toolCalls: [], finishReason: text.length < stopped.length ? 'length' : 'stop' }
}

function prefixOf (messages: Message[]): string {
  const last = messages.at(-1)
  return last?.role === 'assistant' && last.prefix === true ? textOf(last.content) : ''
}

/** The text of the last message of the user; empty when there is none. */
export function lastUserText (messages: Message[]): string {
  return textOf(messages.findLast((message) => message.role === 'user')?.content)
}

/** Quotes the results of the last round of tools. */
function toolResults (messages: Message[]): string {
  const start = messages.findLastIndex((message) => message.role !== 'tool') + 1
  return messages.slice(start).map((message) => {
    const name = message.role === 'tool' ? message.name ?? 'tool' : ''
    return `${name} said "${textOf(message.content)}"`
  }).join('; ')
}
