import { type ConversationRequest } from '../schemas/conversations.ts'
import { type Message } from '../schemas/messages.ts'
import { type Call, replyId, replyTime } from './call.ts'
import { AGENT_MODEL } from './chat.ts'
import { pieces } from './completion.ts'
import { ApiFailure } from '../errors/api-failure.ts'
import { requireModel } from './models.ts'
import { guard } from './moderations.ts'
import { lastUserText, makeChoices } from './choices.ts'
import { type Chunk, plainReply, type Reply, streamReply } from '../http/reply.ts'
import { promptTokens, textOf } from './usage.ts'

/** POST /v1/conversations: one stateless turn in the form of a new conversation. */
export function startConversation (request: ConversationRequest, call: Call): Reply {
  const name = request.model ?? AGENT_MODEL
  const model = requireModel(name, 'completion_chat', call.settings.notInUse)
  const messages = messagesOf(request)
  if (lastUserText(messages) === '') throw noInput()
  const guardrails = guard(request.guardrails, lastUserText(messages)) ?? null
  const { tokenizer } = call.settings
  const maker = { model: name, reasoning: model.reasoning === true, tokenizer, seed: '', content: call.content }
  const text = makeChoices({ messages }, maker)[0]?.text ?? ''
  const prompt = promptTokens(messages.map((message) => textOf(message.content)), tokenizer)
  const completion = tokenizer(text)
  const turn: Turn = {
    id: replyId(call),
    model: name,
    text,
    time: new Date(replyTime(call) * 1000).toISOString(),
    usage: { prompt_tokens: prompt, completion_tokens: completion, total_tokens: prompt + completion },
    guardrails
  }
  const reply = request.stream === true
    ? streamReply(eventsOf(turn, call.cadence.tokensPerChunk), false)
    : plainReply(200, objectOf(turn))
  return { ...reply, tokens: prompt + completion }
}

interface Turn {
  id: string
  model: string
  text: string
  time: string
  usage: object
  guardrails: unknown[] | null
}

function messagesOf ({ inputs, instructions }: ConversationRequest): Message[] {
  const entries = typeof inputs === 'string' ? [{ role: 'user', content: inputs }] : inputs
  const turns = entries.flatMap(({ role, content }): Message[] => {
    if (typeof content !== 'string') return []
    return role === 'assistant' ? [{ role, content }] : [{ role: 'user', content }]
  })
  return instructions === null || instructions === undefined
    ? turns
    : [{ role: 'system', content: instructions }, ...turns]
}

/** Conversations report errors in a form of their own: a capital E and a number as code. */
function noInput (): ApiFailure {
  return new ApiFailure(400, {
    object: 'Error', message: 'inputs must hold a text of the user', type: 'invalid_request_error', code: 3001
  })
}

const conversationId = (id: string): string => `conv_${id}`
const messageId = (id: string): string => `msg_${id}`

function objectOf ({ id, model, text, time, usage, guardrails }: Turn): object {
  const output = {
    object: 'entry',
    type: 'message.output',
    created_at: time,
    completed_at: time,
    id: messageId(id),
    model,
    role: 'assistant',
    content: text
  }
  return {
    object: 'conversation.response', conversation_id: conversationId(id), outputs: [output], usage, guardrails
  }
}

function eventsOf ({ id, model, text, time, usage }: Turn, wordsPerChunk: number): Chunk[] {
  const event = (type: string, fields: object): Chunk => ({
    name: type, data: JSON.stringify({ type, created_at: time, ...fields })
  })
  const delta = { output_index: 0, content_index: 0, id: messageId(id), model, role: 'assistant' }
  return [
    event('conversation.response.started', { conversation_id: conversationId(id) }),
    ...pieces(text, wordsPerChunk).map((content) => event('message.output.delta', { ...delta, content })),
    event('conversation.response.done', { usage })
  ]
}
