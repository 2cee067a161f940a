import { type DeletedResponse, type InputItemsQuery, type OpenAiResponse, type ResponseInputItems, type ResponseItem } from '../../schemas/openai-response.ts'
import { type Principal } from '../auth/principal.ts'
import { type Chat } from '../chat/chat.ts'
import { type FollowedMessage } from '../chat/followed-message.ts'
import { type Telling } from '../chat/telling.ts'
import { ApiError } from '../errors.ts'
import { sessionScope } from '../sessions/access.ts'
import { type Sessions } from '../sessions/sessions.ts'
import { type Asked } from '../store/asked.ts'
import { type Message } from '../store/message.ts'
import { type MessageRepository } from '../store/messages.ts'
import { type Session } from '../store/sessions.ts'
import { unknown } from './errors.ts'
import { itemId, placeOf, presentResponse, stateOf } from './response-object.ts'
import { ResponseTelling, type ToldResponse } from './response-telling.ts'

interface Dependencies {
  readonly chat: Chat
  readonly sessions: Sessions
  readonly messages: MessageRepository
}

export interface StoredResponse {
  readonly session: Session
  readonly message: Message
  readonly asked: Asked
}

/** A reply that is followed, as a response. */
export function toldOf (growing: FollowedMessage, asked: Asked): ToldResponse {
  return { growing, state: () => stateOf(growing.botMessage, asked, growing.text) }
}

/** Responses that were stored: each is a reply in a session, with what it was asked for. */
export class ResponseStore {
  readonly #deps: Dependencies

  constructor (deps: Dependencies) {
    this.#deps = deps
  }

  /** Undefined: there is none, or it is not the caller's. */
  async find (principal: Principal, id: string, scope: 'sessions:read' | 'sessions:write'): Promise<StoredResponse | undefined> {
    const within = sessionScope(principal, scope)
    const place = placeOf(id)
    if (!place) return undefined
    try {
      const { session, message } = await this.#deps.sessions.requireMessage(within, place.sessionId, place.messageId)
      return message.asked && message.status !== 'deleted' ? { session, message, asked: message.asked } : undefined
    } catch (error) {
      if (error instanceof ApiError && error.code === 'not_found') return undefined
      throw error
    }
  }

  async get (principal: Principal, id: string): Promise<OpenAiResponse> {
    return presentResponse(this.told(await this.#require(principal, id, 'sessions:read')).state())
  }

  async stream (principal: Principal, id: string, after: number | undefined): Promise<Telling> {
    return new ResponseTelling(this.told(await this.#require(principal, id, 'sessions:read')), after)
  }

  /** Ends a response that is being written, with the text it has; any other one is answered as it is. */
  async cancel (principal: Principal, id: string): Promise<OpenAiResponse> {
    const { message } = await this.#require(principal, id, 'sessions:write')
    await this.#deps.chat.stop(principal, message.sessionId, message.id)
    const { message: ended, asked } = await this.#require(principal, id, 'sessions:write')
    return presentResponse(stateOf(ended, asked))
  }

  /** Erases a response and what was given with it; where nothing else was said in its session, the session. */
  async delete (principal: Principal, id: string): Promise<DeletedResponse> {
    const found = await this.#require(principal, id, 'sessions:write')
    const { session, message } = found
    const { chat } = this.#deps
    const given = await this.#given(found)
    if (session.nextSeq - 1 - session.clearedSeq === given.length + 1) await chat.deleteSession(principal, session.id)
    // The response last: as long as it is there, all of it can be done again.
    else for (const { id: messageId } of [...given, message]) await chat.transcript.erase(principal, session.id, messageId)
    return { id, object: 'response', deleted: true }
  }

  async inputItems (principal: Principal, id: string, { limit, order, after }: InputItemsQuery): Promise<ResponseInputItems> {
    const found = await this.#require(principal, id, 'sessions:read')
    const itemOf = (id: string, role: string, text: string): ResponseItem => ({
      id, type: 'message', status: 'completed', role, content: [{ type: role === 'assistant' ? 'output_text' : 'input_text', text }]
    })
    const items = [
      ...found.asked.system.map((text, i) => itemOf(`${itemId(found.message.id)}_${i}`, 'system', text)),
      ...(await this.#given(found)).map(({ id, role, content }) => itemOf(itemId(id), role === 'bot' ? 'assistant' : 'user', content))
    ]
    if (order === 'desc') items.reverse()
    const from = after === undefined ? 0 : items.findIndex(({ id }) => id === after) + 1
    const data = items.slice(from, from + limit)
    return {
      object: 'list', data, first_id: data[0]?.id ?? null, last_id: data.at(-1)?.id ?? null, has_more: from + limit < items.length
    }
  }

  /** A stored response to be followed, wherever it is being written. */
  told ({ message, asked }: StoredResponse): ToldResponse {
    return toldOf(this.#deps.chat.followers.of(message), asked)
  }

  /** The messages that a response was given to, in order. */
  async #given ({ session, message, asked }: StoredResponse): Promise<Message[]> {
    const { sessionId, replyTo } = message
    const answered = await this.#deps.messages.find(sessionId, replyTo!)
    if (!answered) return []
    const seqs = Array.from({ length: asked.earlier + 1 }, (_, i) => answered.seq - asked.earlier + i)
    return (await this.#deps.messages.numbered(sessionId, seqs)).filter(({ seq, status }) => seq > session.clearedSeq && status !== 'deleted')
  }

  async #require (principal: Principal, id: string, scope: 'sessions:read' | 'sessions:write'): Promise<StoredResponse> {
    const found = await this.find(principal, id, scope)
    if (!found) throw unknown('id', `There is no response ${id}.`, 'response_not_found')
    return found
  }
}
