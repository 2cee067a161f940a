import { type Message as MessageView } from '../../schemas/message.ts'
import { type Feedback as FeedbackView } from '../../schemas/feedback.ts'
import { branchName } from '../sessions/lines.ts'
import { type Feedback } from '../store/changes.ts'
import { type Message } from '../store/message.ts'

/** A message as clients see it. */
export function presentMessage (message: Message): MessageView {
  const {
    id, sessionId, seq, parentId, branchId, editOf, role, content, timestamp, status, replyTo, configVersion, model, fallback,
    finishReason, usage, error, feedback, metadata
  } = message
  return {
    id,
    sessionId,
    seq,
    parentId,
    branchId: branchName(sessionId, branchId),
    ...(editOf !== undefined && { editOf }),
    role,
    content,
    timestamp: timestamp.toISOString(),
    status,
    ...(replyTo !== undefined && { replyTo }),
    ...(configVersion !== undefined && { configVersion }),
    ...(model !== undefined && { model }),
    ...(fallback && { fallback }),
    ...(finishReason !== undefined && { finishReason }),
    ...(usage && { usage }),
    ...(error && { error }),
    ...(feedback && { feedback: presentFeedback(feedback) }),
    ...(metadata && { metadata })
  }
}

/** What a reader thought of a reply, as clients see it. */
export function presentFeedback ({ rating, comment, tags, at }: Feedback): FeedbackView {
  return { rating, ...(comment !== undefined && { comment }), tags, at: at.toISOString() }
}
