import { type Choice } from './choices.ts'
import { type Cadence } from '../http/cadence.ts'
import { type Chunk } from '../http/reply.ts'
import { type SimToolCall } from './tool-replies.ts'
import { type Usage } from './usage.ts'

/** A finished generation, before it takes the form of one object or of a stream. */
export interface Completion {
  id: string
  created: number
  /** As the request named it. */
  model: string
  choices: Choice[]
  usage: Usage
  guardrails?: unknown[]
}

/** The reply as one object. */
export function completionObject (completion: Completion): unknown {
  const { id, created, model, choices, usage, guardrails } = completion
  return {
    id,
    object: 'chat.completion',
    created,
    model,
    usage,
    choices: choices.map((choice, index) => ({
      index,
      finish_reason: choice.finishReason,
      message: {
        role: 'assistant',
        tool_calls: choice.toolCalls.length > 0 ? choice.toolCalls.map(wholeCall) : null,
        content: choice.thinking === undefined
          ? choice.text
          : [thinkingChunk(choice.thinking, true), textChunk(choice.text)]
      }
    })),
    ...(guardrails && { guardrails })
  }
}

type Delta = Record<string, unknown>

/** The reply as events of a stream. */
export function completionEvents (completion: Completion, cadence: Cadence): Chunk[] {
  const { id, created, model, choices, usage, guardrails } = completion
  const event = (list: unknown[], extra: object = {}): Chunk => ({
    data: JSON.stringify({ id, object: 'chat.completion.chunk', created, model, choices: list, ...extra })
  })
  const events = choices.flatMap((choice, index) => {
    const deltas = deltasOf(choice, cadence)
    return deltas.map((delta, position) => {
      const isLast = position === deltas.length - 1
      const withUsage = isLast && index === choices.length - 1 && cadence.usageOn === 'finish'
      const entry = { index, delta, finish_reason: isLast ? choice.finishReason : null, logprobs: null }
      return event([entry], { ...(withUsage && { usage }), ...(isLast && guardrails && { guardrails }) })
    })
  })
  return cadence.usageOn === 'extra-chunk' ? [...events, event([], { usage })] : events
}

function deltasOf (choice: Choice, cadence: Cadence): Delta[] {
  const opening = { role: 'assistant', content: '' }
  if (choice.toolCalls.length > 0) {
    const fragments = cadence.toolStyle === 'fragments'
    return fragments
      ? [opening, ...choice.toolCalls.flatMap(fragmentDeltas), { content: '' }]
      : [opening, { content: null, tool_calls: choice.toolCalls.map(wholeCall) }]
  }
  return [opening, ...textDeltas(choice, cadence.tokensPerChunk), { content: '' }]
}

function textDeltas (choice: Choice, wordsPerChunk: number): Delta[] {
  const [first = '', ...rest] = pieces(choice.text, wordsPerChunk)
  if (choice.thinking === undefined) return (first === '' ? [] : [first, ...rest]).map((content) => ({ content }))
  const thoughts = pieces(choice.thinking, wordsPerChunk).map((text) => ({ content: [thinkingChunk(text, false)] }))
  // The thinking closes in the same list that holds the first of the answer; plain strings follow.
  const turn = { content: [thinkingChunk('', true), textChunk(first)] }
  return [...thoughts, turn, ...rest.map((content) => ({ content }))]
}

/** Cuts a text into groups of words; joined again they are the text. */
export function pieces (text: string, wordsPerPiece: number): string[] {
  const words = text.match(/\s*\S+(?:\s+$)?|^\s+$/g) ?? []
  const size = Math.max(1, Math.floor(wordsPerPiece))
  return Array.from({ length: Math.ceil(words.length / size) },
    (_, index) => words.slice(index * size, (index + 1) * size).join(''))
}

function wholeCall (call: SimToolCall): object {
  return { id: call.id, function: { name: call.name, arguments: call.arguments } }
}

/** The way of models hosted for others: a foreign id and the name first, then the arguments in parts. */
function fragmentDeltas (call: SimToolCall, index: number): Delta[] {
  const middle = Math.ceil(call.arguments.length / 2)
  const id = `chatcmpl-tool-${call.id}`
  const parts = [
    { id, type: 'function', index, function: { name: call.name, arguments: '' } },
    { id, type: 'function', index, function: { name: '', arguments: call.arguments.slice(0, middle) } },
    { id, type: 'function', index, function: { name: '', arguments: call.arguments.slice(middle) } }
  ]
  return parts.map((part) => ({ tool_calls: [part] }))
}

const textChunk = (text: string): object => ({ type: 'text', text })

const thinkingChunk = (text: string, closed: boolean): object => ({
  type: 'thinking', thinking: text === '' ? [] : [textChunk(text)], ...(closed && { closed })
})
