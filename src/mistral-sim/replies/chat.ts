import { type AgentsCompletionRequest, type ChatCompletionRequest, type FimCompletionRequest } from '../schemas/chat.ts'
import { plainReply, type Reply, streamReply } from '../http/reply.ts'
import { type Call, replyId, replyTime } from './call.ts'
import { type Completion, completionEvents, completionObject } from './completion.ts'
import { hex } from '../digest.ts'
import { invalidRequest } from '../errors/api-failure.ts'
import { checkMessages } from '../validation/message-rules.ts'
import { type Model, requireModel } from './models.ts'
import { guard } from './moderations.ts'
import { type Choice, type Conversation, lastUserText, makeChoices, shorten } from './choices.ts'
import { checkTools } from './tool-replies.ts'
import { billedText, promptTokens, type Usage } from './usage.ts'

/** The model behind every agent. */
export const AGENT_MODEL = 'mistral-medium-latest'

// The API names no bound; the simulator needs one, because it makes every choice.
const MAX_CHOICES = 128
// Stands for the text that `safe_prompt` puts in front; only its length matters.
const SAFE_PROMPT = 'Assist with care, respect and truth. Avoid harmful, unethical, prejudiced or negative content.'

/** POST /v1/chat/completions */
export function chat (request: ChatCompletionRequest, call: Call): Reply {
  const model = requireModel(request.model, 'completion_chat', call.settings.notInUse)
  checkSampling(request, model)
  return converse(request, request.model, model, call, request.safe_prompt === true ? [SAFE_PROMPT] : [])
}

/** POST /v1/agents/completions */
export function agentChat (request: AgentsCompletionRequest, call: Call): Reply {
  const model = requireModel(AGENT_MODEL, 'completion_chat', call.settings.notInUse)
  return converse(request, AGENT_MODEL, model, call, [])
}

/** POST /v1/fim/completions */
export function fim (request: FimCompletionRequest, call: Call): Reply {
  const model = requireModel(request.model, 'completion_fim', call.settings.notInUse)
  checkGreedy(request)
  const texts = [request.prompt, request.suffix ?? '']
  const prompt = countPrompt(texts, request, model, call)
  const mark = hex(`${request.model}:${request.random_seed ?? ''}:${texts.join('|')}`, 8)
  const text = call.content ?? `sim_${mark}(${texts.join('')})`
  const choices = [shorten(text, request, call.settings.tokenizer)]
  return answer(request, call, {
    ...head(call, request.model), choices, usage: usageOf(prompt, choices, texts, request, call)
  })
}

function converse (request: Conversation, name: string, model: Model, call: Call, extra: string[]): Reply {
  checkMessages(request.messages)
  checkTools(request)
  if ((request.n ?? 1) > MAX_CHOICES) throw invalidRequest(`n must be at most ${MAX_CHOICES}`)
  const texts = [...extra, ...request.messages.map(billedText)]
  const prompt = countPrompt(texts, request, model, call)
  const guardrails = guard(request.guardrails, lastUserText(request.messages))
  const { settings: { tokenizer }, content } = call
  const maker = { model: name, reasoning: model.reasoning === true, tokenizer, seed: replyId(call), content }
  const choices = makeChoices(request, maker)
  const usage = usageOf(prompt, choices, texts, request, call)
  const style = call.cadence.toolStyle ?? (model.foreign === true ? 'fragments' : 'whole')
  const completion = { ...head(call, name), choices, usage, ...(guardrails && { guardrails }) }
  return answer(request, { ...call, cadence: { ...call.cadence, toolStyle: style } }, completion)
}

function head (call: Call, model: string): Pick<Completion, 'id' | 'created' | 'model'> {
  return { id: replyId(call), created: replyTime(call), model }
}

function answer (request: { stream?: boolean }, call: Call, completion: Completion): Reply {
  const reply = request.stream === true
    ? streamReply(completionEvents(completion, call.cadence), true)
    : plainReply(200, completionObject(completion))
  return { ...reply, tokens: completion.usage.total_tokens }
}

function checkSampling (request: ChatCompletionRequest, model: Model): void {
  checkGreedy(request)
  const several = (request.n ?? 1) > 1
  if (several && model.singleChoice === true) throw invalidRequest(`n must be 1 for model ${request.model}`)
  if (several && request.prediction !== undefined) throw invalidRequest('n must be 1 when using prediction')
}

function checkGreedy ({ temperature, top_p: topP }: Pick<ChatCompletionRequest, 'temperature' | 'top_p'>): void {
  if (temperature === 0 && (topP ?? 1) !== 1) throw invalidRequest('top_p must be 1 when using greedy sampling.')
}

/** Tokens of the prompt, which must fit the window together with what may be generated. */
function countPrompt (
  texts: string[], request: Pick<Conversation, 'max_tokens'>, model: Model, call: Call
): number {
  const prompt = promptTokens(texts, call.settings.tokenizer)
  const window = call.settings.windows[model.id] ?? model.window
  const needed = prompt + (request.max_tokens ?? 0)
  if (needed > window) {
    throw invalidRequest(
      `Prompt contains ${needed} tokens, too large for model with ${window} maximum context length`)
  }
  return prompt
}

function usageOf (
  prompt: number, choices: Choice[], texts: string[],
  request: Pick<Conversation, 'prompt_cache_key'> & { service_tier?: Conversation['service_tier'] }, call: Call
): Usage {
  const { tokenizer } = call.settings
  const completion = choices.reduce((sum, { text, thinking = '', toolCalls }) =>
    sum + tokenizer(text) + tokenizer(thinking) +
    toolCalls.reduce((more, made) => more + tokenizer(made.name + made.arguments), 0), 0)
  const key = request.prompt_cache_key ?? null
  return {
    prompt_tokens: prompt,
    total_tokens: prompt + completion,
    completion_tokens: completion,
    ...(key !== null && { prompt_tokens_details: { cached_tokens: call.cache.cachedTokens(key, texts) } }),
    ...((request.service_tier ?? null) !== null && { service_tier: 'standard' })
  }
}
