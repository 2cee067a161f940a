import { type FunctionTool } from '../schemas/tools.ts'
import { type Conversation } from './choices.ts'
import { refusal } from '../errors/api-failure.ts'
import { callId } from '../digest.ts'
import { minimalInstance } from './json-replies.ts'
import { textOf } from './usage.ts'

/** A call that the reply asks for. */
export interface SimToolCall {
  id: string
  name: string
  /** JSON text. */
  arguments: string
}

const MAX_TOOLS = 128
const FUNCTION_NAME = /^[A-Za-z0-9_-]{1,64}$/
const ORDER = /^\/tool\s+(\S+)[ \t]*(\{.*\})?[ \t]*$/gm

/** What the schema cannot say of tools. Throws the API's 400. */
export function checkTools (request: Conversation): void {
  if ((request.tools ?? []).length > MAX_TOOLS) {
    throw refusal(400, `Too many tools, at most ${MAX_TOOLS} are allowed`, 'invalid_function_call', '3280')
  }
  const names = functionsOf(request).map((tool) => tool.function.name)
  for (const name of names) {
    if (!FUNCTION_NAME.test(name)) {
      const message = `Function name was ${name} but must be a-z, A-Z, 0-9, underscores and dashes, at most 64 of them.`
      throw refusal(400, message, 'invalid_function_call', '3280')
    }
  }
  const choice = request.tool_choice
  if (typeof choice === 'object' && !names.includes(choice.function.name)) {
    throw refusal(400, `Function ${choice.function.name} of tool_choice is not among the tools`,
      'invalid_function_call', '3280')
  }
}

/**
 * The calls of a reply: those that the last user text orders by lines `/tool NAME {json}`; else, where the choice
 * forces one, the named or first function with the smallest arguments its parameters allow. None after a tool's result.
 */
export function toolCalls (request: Conversation, seed: string): SimToolCall[] {
  const functions = functionsOf(request)
  const choice = request.tool_choice ?? 'auto'
  const last = request.messages.at(-1)
  if (functions.length === 0 || choice === 'none' || last?.role === 'tool') return []
  const wanted = typeof choice === 'object' ? choice.function.name : undefined
  const allowed = functions.filter((tool) => wanted === undefined || tool.function.name === wanted)
  const ordered = last?.role === 'user' ? ordersIn(textOf(last.content), allowed) : []
  const calls = ordered.length > 0 || choice === 'auto' ? ordered : forced(allowed)
  const kept = request.parallel_tool_calls === false ? calls.slice(0, 1) : calls
  return kept.map((call, index) => ({ id: callId(`${seed}:${index}`), ...call }))
}

function functionsOf (request: Conversation): FunctionTool[] {
  return (request.tools ?? []).filter((tool): tool is FunctionTool => 'function' in tool)
}

type Call = Omit<SimToolCall, 'id'>

function ordersIn (text: string, allowed: FunctionTool[]): Call[] {
  const known = new Set(allowed.map((tool) => tool.function.name))
  return [...text.matchAll(ORDER)]
    .map(([, name = '', args = '{}']) => ({ name, arguments: args }))
    .filter(({ name }) => known.has(name))
}

function forced ([tool]: FunctionTool[]): Call[] {
  if (tool === undefined) return []
  const args = minimalInstance({ type: 'object', ...tool.function.parameters })
  return [{ name: tool.function.name, arguments: JSON.stringify(args) }]
}
