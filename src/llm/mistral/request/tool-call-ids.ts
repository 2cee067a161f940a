import { createHash } from 'node:crypto'
import { type PromptMessage } from '../../provider.ts'

const MISTRAL_ID = /^[a-zA-Z0-9]{9}$/
const LENGTH = 9
const BASE_62 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789'

/**
 * Gives every call of a tool, and its result, an id as Mistral wants it: nine characters of base 62. Ids that fit are
 * kept; the others become a digest, the same one in every prompt, and different ids stay different.
 */
export function fitToolCallIds (messages: readonly PromptMessage[]): readonly PromptMessage[] {
  const ids = new Set(messages.flatMap((message) => message.role === 'tool' ? message.toolCallId : []))
  if (ids.size === 0) return messages
  const fitting = fittingIds(ids)
  return messages.map((message) => {
    if (message.role === 'tool') return { ...message, toolCallId: fitting(message.toolCallId) }
    if (message.role !== 'assistant' || message.toolCalls === undefined) return message
    return { ...message, toolCalls: message.toolCalls.map((call) => ({ ...call, id: fitting(call.id) })) }
  })
}

function fittingIds (ids: ReadonlySet<string>): (id: string) => string {
  const taken = new Set([...ids].filter((id) => MISTRAL_ID.test(id)))
  const replaced = new Map<string, string>()
  for (const id of ids) {
    if (MISTRAL_ID.test(id)) continue
    let candidate
    for (let attempt = 0; candidate === undefined || taken.has(candidate); attempt++) candidate = digest(id, attempt)
    taken.add(candidate)
    replaced.set(id, candidate)
  }
  return (id) => replaced.get(id) ?? id
}

function digest (id: string, attempt: number): string {
  const bytes = createHash('sha256').update(`${attempt}:${id}`).digest().subarray(0, LENGTH)
  return Array.from(bytes, (byte) => BASE_62.charAt(byte % BASE_62.length)).join('')
}
