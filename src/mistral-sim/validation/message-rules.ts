import { type AssistantMessage, type Message } from '../schemas/messages.ts'
import { invalidRequest, refusal, type ApiFailure } from '../errors/api-failure.ts'
import { textOf } from '../replies/usage.ts'

type Role = Message['role']

const SUCCESSORS: Record<Role, Role[]> = {
  system: ['user', 'assistant', 'system'],
  user: ['assistant', 'system', 'user'],
  assistant: ['assistant', 'user', 'tool'],
  // The tokenizer's own rules allow a user here since 2026-04; the hosted API has been reported to refuse it.
  tool: ['assistant', 'tool']
}

const CALL_ID = /^[a-zA-Z0-9]{9}$/
// The schema's default for a call without an id.
const NO_ID = 'null'

/** The rules on the order and content of messages that a schema cannot say. Throws the API's 400. */
export function checkMessages (messages: Message[]): void {
  if (messages.length === 0) throw invalidRequest('Conversation must have at least one message')
  checkOrder(messages)
  messages.forEach(checkContent)
  checkToolRounds(messages)
}

function badOrder (message: string): ApiFailure {
  return refusal(400, message, 'invalid_request_message_order', '3230')
}

function checkOrder (messages: Message[]): void {
  messages.forEach((message, index) => {
    const before = messages[index - 1]
    if (before !== undefined && !SUCCESSORS[before.role].includes(message.role)) {
      throw badOrder(`Unexpected role '${message.role}' after role '${before.role}'`)
    }
    if (message.role === 'assistant' && message.prefix === true && index < messages.length - 1) {
      throw badOrder('Assistant message with prefix True must be the last message')
    }
  })
  const last = messages.at(-1)
  const open = last?.role === 'user' || last?.role === 'tool' || (last?.role === 'assistant' && last.prefix === true)
  if (!open) {
    throw badOrder('Expected last role User or Tool (or Assistant with prefix True) for serving but got ' +
      `${String(last?.role)}`)
  }
}

function checkContent (message: Message): void {
  if (message.role === 'assistant') {
    if (callsOf(message).length === 0 && isEmpty(message)) {
      throw invalidRequest('Assistant message must have either content or tool_calls, but not none.')
    }
    for (const { id } of callsOf(message)) checkCallId(id)
  }
  if (message.role === 'tool') checkCallId(message.tool_call_id)
}

function isEmpty (message: AssistantMessage): boolean {
  if (Array.isArray(message.content)) return message.content.length === 0
  // A prefix may be empty: the reply then simply starts there.
  return message.prefix !== true && textOf(message.content) === ''
}

function checkCallId (id: string | null | undefined): void {
  if (id === null || id === undefined || id === NO_ID || CALL_ID.test(id)) return
  const message = `Tool call id was ${id} but must be a-z, A-Z, 0-9, with a length of 9.`
  throw refusal(400, message, 'invalid_function_call', '3280')
}

function callsOf (message: AssistantMessage): NonNullable<AssistantMessage['tool_calls']> {
  return message.tool_calls ?? []
}

/** Every call of an assistant turn has exactly one result before the next turn. */
function checkToolRounds (messages: Message[]): void {
  let open: string[] = []
  let expected = 0
  for (const message of messages) {
    if (message.role === 'tool') {
      expected--
      open = takeCall(open, message.tool_call_id)
    } else {
      checkAnswered(expected)
      const calls = message.role === 'assistant' ? callsOf(message) : []
      expected = calls.length
      open = calls.map(({ id }) => id ?? NO_ID)
      const known = open.filter((id) => id !== NO_ID)
      if (new Set(known).size < known.length) throw badCall('Duplicate tool call id in assistant message')
    }
  }
  checkAnswered(expected)
}

function checkAnswered (expected: number): void {
  if (expected !== 0) throw badOrder('Not the same number of function calls and responses')
}

function takeCall (open: string[], id: string | null | undefined): string[] {
  if (id === null || id === undefined || open.length === 0) return open
  if (!open.includes(id) && !open.includes(NO_ID)) throw badCall(`Tool call id ${id} is not one of the calls before it`)
  return open.filter((other) => other !== id)
}

function badCall (message: string): ApiFailure {
  return refusal(400, message, 'invalid_function_call', '3280')
}
