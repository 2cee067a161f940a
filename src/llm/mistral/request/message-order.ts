import { ApiError } from '../../../errors.ts'
import { type PromptMessage } from '../../provider.ts'

/**
 * Brings messages into the order Mistral accepts: all system text in one first message, no assistant message without
 * text. Throws `upstream_rejected` when the last one is not the user's: the model would refuse it, so it is not sent.
 */
export function orderMessages (messages: readonly PromptMessage[]): PromptMessage[] {
  const written = messages.filter(({ role, content }) => role === 'user' || content.trim() !== '')
  const system = written.filter(({ role }) => role === 'system')
  const dialogue = written.filter(({ role }) => role !== 'system')
  if (dialogue.at(-1)?.role !== 'user') {
    throw new ApiError('upstream_rejected', { detail: 'The prompt does not end with a message of the user.' })
  }
  if (system.length === 0) return dialogue
  return [{ role: 'system', content: system.map(({ content }) => content).join('\n\n') }, ...dialogue]
}
