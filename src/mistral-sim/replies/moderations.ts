import { type ModerationRequest } from '../schemas/embeddings.ts'
import { type ChatModerationRequest } from '../schemas/chat-moderation.ts'
import { CATEGORIES, type Guardrail } from '../schemas/guardrails.ts'
import { plainReply, type Reply } from '../http/reply.ts'
import { type Call, replyId } from './call.ts'
import { hex } from '../digest.ts'
import { ApiFailure } from '../errors/api-failure.ts'
import { requireModel } from './models.ts'
import { textOf } from './usage.ts'

const FLAGGED = 0.99
const THRESHOLD = 0.5
// Unflagged categories score below this, each text a little differently.
const NOISE = 0.01

/** A text is flagged in a category when it contains that category's name. */
export function scores (text: string): Record<string, number> {
  return Object.fromEntries(CATEGORIES.map((category) => {
    const noise = Number.parseInt(hex(`${category}:${text}`, 8), 16) / 0xffffffff * NOISE
    return [category, text.includes(category) ? FLAGGED : noise]
  }))
}

/** POST /v1/moderations */
export function moderate (request: ModerationRequest, call: Call): Reply {
  return verdicts(request.model, typeof request.input === 'string' ? [request.input] : request.input, call)
}

/** POST /v1/chat/moderations: judges the last message of each conversation. */
export function moderateChat (request: ChatModerationRequest, call: Call): Reply {
  const single = request.input.flatMap((entry) => Array.isArray(entry) ? [] : [entry])
  const several = request.input.flatMap((entry) => Array.isArray(entry) ? [entry] : [])
  const conversations = single.length > 0 ? [single] : several
  const texts = conversations.map((messages) => textOf(messages.at(-1)?.content))
  return verdicts(request.model, texts, call)
}

function verdicts (model: string, texts: string[], call: Call): Reply {
  requireModel(model, 'moderation', call.settings.notInUse)
  const results = texts.map((text) => {
    const categoryScores = scores(text)
    const flags = Object.entries(categoryScores).map(([category, score]) => [category, score >= THRESHOLD])
    return { categories: Object.fromEntries(flags) as Record<string, boolean>, category_scores: categoryScores }
  })
  return plainReply(200, { id: replyId(call), model, results })
}

/** What the guardrails say of the input; a blocking one throws the 403. Undefined: the request has none. */
export function guard (guardrails: Guardrail[] | null | undefined, text: string): unknown[] | undefined {
  if (guardrails === null || guardrails === undefined) return undefined
  return guardrails.map(({ moderation_llm_v1: v1, moderation_llm_v2: v2 }) => {
    const config = v2 ?? v1 ?? {}
    const thresholds: Record<string, number | null | undefined> = config.custom_category_thresholds ?? {}
    const found = Object.entries(scores(text)).filter(([category, score]) => {
      const own = thresholds[category]
      if (config.ignore_other_categories === true && typeof own !== 'number') return false
      return score >= (own ?? THRESHOLD)
    }).map(([category]) => category)
    const decision = { violated: found.length > 0, categories: found, action: config.action ?? 'none' }
    if (decision.violated && decision.action === 'block') {
      throw new ApiFailure(403, {
        error: { message: 'Content blocked by guardrail', status: 403 },
        guardrails: { results: [decision] }
      })
    }
    return decision
  })
}
