import { type Static, type TSchema } from '@sinclair/typebox'
import { type Call } from '../replies/call.ts'
import { agentChat, chat, fim } from '../replies/chat.ts'
import { startConversation } from '../replies/conversations.ts'
import { embed } from '../replies/embeddings.ts'
import { ApiFailure, refusal } from '../errors/api-failure.ts'
import { findModel, modelCard, MODELS } from '../replies/models.ts'
import { moderate, moderateChat } from '../replies/moderations.ts'
import { type Settings } from '../options.ts'
import { AgentsCompletionRequest, ChatCompletionRequest, FimCompletionRequest } from '../schemas/chat.ts'
import { ChatModerationRequest } from '../schemas/chat-moderation.ts'
import { ConversationRequest } from '../schemas/conversations.ts'
import { EmbeddingRequest, ModerationRequest } from '../schemas/embeddings.ts'
import { type Problem } from '../validation/problem-text.ts'
import { validator } from '../validation/validator.ts'
import { plainReply, type Reply } from './reply.ts'

/** A route that takes a JSON body. */
export interface PostRoute {
  validate (body: unknown): Problem[]
  /** Only with a body that has no problems. */
  answer (body: unknown, call: Call): Reply
}

function post<T extends TSchema> (schema: T, answer: (body: Static<T>, call: Call) => Reply): PostRoute {
  return { validate: validator(schema), answer: (body, call) => answer(body, call) }
}

const POSTS: Record<string, PostRoute | undefined> = {
  '/v1/chat/completions': post(ChatCompletionRequest, chat),
  '/v1/agents/completions': post(AgentsCompletionRequest, agentChat),
  '/v1/fim/completions': post(FimCompletionRequest, fim),
  '/v1/embeddings': post(EmbeddingRequest, embed),
  '/v1/moderations': post(ModerationRequest, moderate),
  '/v1/chat/moderations': post(ChatModerationRequest, moderateChat),
  '/v1/conversations': post(ConversationRequest, startConversation)
}

// The first segments of what the API also has and the simulator does not play.
const ELSEWHERE = new RegExp('^/(v1/(agents|admin|audio|batch|chat|classifications|connectors|conversations|files|' +
  'fine_tuning|libraries|models|observability|ocr|rag|users|workflows)|v2/(prompts|skills))(/|$)')
const MODEL_PATH = /^\/v1\/models\/([^/]+)$/

/** What a method and a path lead to. */
export type Found = { post: PostRoute } | { reply: Reply } | { failure: ApiFailure }

/** Finds the route: one that takes a body, a reply that needs none, or the 404, 405 or 501. */
export function findRoute (method: string, path: string, settings: Settings): Found {
  const route = POSTS[path]
  if (route !== undefined && method === 'POST') return { post: route }
  if (path === '/v1/models' && method === 'GET') {
    return { reply: plainReply(200, { object: 'list', data: allCards(settings) }) }
  }
  const [, name] = MODEL_PATH.exec(path) ?? []
  if (name !== undefined && method === 'GET') return cardOf(decode(name), settings)
  // GET /v1/conversations and DELETE /v1/models/{id} exist at the API; every other method of a played path does not.
  const played = (route !== undefined && !(path === '/v1/conversations' && method === 'GET')) || path === '/v1/models'
  if (played || (name !== undefined && method !== 'DELETE')) return failed(405, 'Method Not Allowed')
  if (!ELSEWHERE.test(path)) return failed(404, 'Not Found')
  return { failure: refusal(501, `${method} ${path} is not part of the simulator`, 'not_implemented', null) }
}

const failed = (status: number, detail: string): Found => ({ failure: new ApiFailure(status, { detail }) })

function allCards ({ epoch }: Settings): unknown[] {
  return MODELS.flatMap((model) => [model.id, ...model.aliases].map((name) => modelCard(model, name, epoch)))
}

function cardOf (name: string, { epoch }: Settings): Found {
  const model = findModel(name)
  return model === undefined ? failed(404, 'Not Found') : { reply: plainReply(200, modelCard(model, name, epoch)) }
}

function decode (segment: string): string {
  try {
    return decodeURIComponent(segment)
  } catch {
    return segment
  }
}
