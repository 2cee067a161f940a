import { type Message as MessageView } from '../../schemas/message.ts'
import { type Message } from '../store/messages.ts'

/** A message as clients see it. */
export function presentMessage (message: Message): MessageView {
  const {
    id, sessionId, seq, role, content, timestamp, status, replyTo, model, fallback, finishReason, usage, error, metadata
  } = message
  return {
    id,
    sessionId,
    seq,
    role,
    content,
    timestamp: timestamp.toISOString(),
    status,
    ...(replyTo !== undefined && { replyTo }),
    ...(model !== undefined && { model }),
    ...(fallback && { fallback }),
    ...(finishReason !== undefined && { finishReason }),
    ...(usage && { usage }),
    ...(error && { error }),
    ...(metadata && { metadata })
  }
}
