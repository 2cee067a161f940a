import { type OpenAiResponse, type ResponseInput } from '../../schemas/openai-response.ts'
import { covers, type Principal } from '../auth/principal.ts'
import { type Chat } from '../chat/chat.ts'
import { type FollowedMessage, untilEnd } from '../chat/followed-message.ts'
import { wasSaid } from '../chat/prompt.ts'
import { type Telling } from '../chat/telling.ts'
import { type Idempotency } from '../idempotency/idempotency.ts'
import { type ChatProvider, type PromptMessage } from '../llm/provider.ts'
import { type Sessions } from '../sessions/sessions.ts'
import { type Chatbot } from '../store/chatbots.ts'
import { newId } from '../store/ids.ts'
import { type Asked } from '../store/asked.ts'
import { type MessageRepository } from '../store/messages.ts'
import { requireNoError } from './completions.ts'
import { type Earlier } from './earlier.ts'
import { refusal } from './errors.ts'
import { type Models } from './models.ts'
import { isCutOff, itemId, presentResponse, responseId } from './response-object.ts'
import { readResponseRequest, type ResponseRequest } from './response-request.ts'
import { type ResponseStore, type StoredResponse, toldOf } from './response-store.ts'
import { ResponseTelling, type ToldResponse } from './response-telling.ts'
import { type Sayable } from './sayable.ts'
import { type Writer } from './writer.ts'

interface Dependencies {
  readonly models: Models
  readonly chat: Chat
  readonly sessions: Sessions
  readonly messages: MessageRepository
  readonly provider: ChatProvider
  readonly writer: Writer
  readonly stored: ResponseStore
  readonly earlier: Earlier
  readonly sayable: Sayable
  readonly idempotency: Idempotency
}

/** A request with all that was found out about it. */
interface Order {
  readonly principal: Principal
  readonly chatbot: Chatbot
  readonly request: ResponseRequest
  readonly previous: StoredResponse | undefined
  readonly asked: Asked
  readonly stream: boolean
}

export interface ResponseOptions {
  /** Makes what is stored safe to ask for again. */
  readonly idempotencyKey?: string
  /** Aborted when the client has left: a response that is not stored is not written any further. */
  readonly signal: AbortSignal
  /** Is told of the reply, where it is stored. */
  readonly onReply: (reply: FollowedMessage) => void
}

const systemOf = ({ instructions, carried, system }: Asked) => [...(instructions === null ? [] : [instructions]), ...carried, ...system]

/** New responses: turns of sessions, or, where nothing is to be stored, replies of the moment. */
export class Responses {
  readonly #deps: Dependencies

  constructor (deps: Dependencies) {
    this.#deps = deps
  }

  /** The response when it has ended, or, in the background, when it has begun. Throws what the model failed with. */
  async create (principal: Principal, input: ResponseInput, { signal, onReply, idempotencyKey }: ResponseOptions): Promise<OpenAiResponse> {
    const order = await this.#order(principal, input)
    if (input.store === false) return presentResponse((await this.#write(order, signal)).state())
    const reply = await this.#send(order, input, idempotencyKey)
    onReply(reply)
    if (!order.asked.background) requireNoError(await untilEnd(reply, this.#deps.chat.closing), reply.cause)
    return presentResponse(toldOf(reply, order.asked).state())
  }

  /** The response as it is written. */
  async stream (principal: Principal, input: ResponseInput, { signal, onReply, idempotencyKey }: ResponseOptions): Promise<Telling> {
    const order = await this.#order(principal, input)
    if (input.store === false) return new ResponseTelling(await this.#write(order, signal))
    const reply = await this.#send(order, input, idempotencyKey)
    onReply(reply)
    return new ResponseTelling(toldOf(reply, order.asked))
  }

  async #order (principal: Principal, input: ResponseInput): Promise<Order> {
    const { models, provider, sayable } = this.#deps
    const chatbot = await models.find(principal, input.model)
    const request = readResponseRequest(input, provider.isModel)
    const previous = await this.#previous(principal, chatbot, input)
    const { instructions = null, metadata, user, background, max_output_tokens: maxTokens = null, temperature, top_p: topP } = input
    if (instructions !== null) sayable.storable(instructions, 'instructions')
    request.system.forEach((text) => sayable.storable(text, 'input'))
    const asked: Asked = {
      model: input.model,
      instructions,
      system: request.system,
      carried: previous ? [...previous.asked.carried, ...previous.asked.system] : [],
      temperature: temperature ?? chatbot.model.temperature ?? 1,
      topP: topP ?? 1,
      maxTokens,
      format: JSON.stringify(input.text?.format ?? { type: 'text' }),
      metadata: metadata ?? {},
      previousId: input.previous_response_id ?? null,
      user: user == null ? null : sayable.storable(user, 'user'),
      background: background ?? false,
      earlier: previous ? 0 : request.turns.length - 1
    }
    sayable.storable(asked.format, 'text.format')
    return { principal, chatbot, request, previous, asked, stream: (input.stream ?? false) || asked.background }
  }

  async #previous (principal: Principal, { id: configId }: Chatbot, { previous_response_id: id, store }: ResponseInput): Promise<StoredResponse | undefined> {
    if (id == null) return undefined
    const found = await this.#deps.stored.find(principal, id, store === false ? 'sessions:read' : 'sessions:write')
    if (!found) throw refusal('previous_response_id', `There is no response ${id} to go on from.`, 'previous_response_not_found')
    if (found.session.configId !== configId) throw refusal('model', 'The response to go on from is another model\'s.')
    return found
  }

  /** Begins a turn: in a session of its own, or behind the response that it goes on from. */
  async #send (order: Order, input: ResponseInput, key: string | undefined): Promise<FollowedMessage> {
    const { chat, sessions, sayable, earlier, idempotency } = this.#deps
    const { principal, chatbot: { id: configId }, request: { turns, sampling, format }, previous, asked, stream } = order
    const wish = { configId, system: systemOf(asked), sampling, ...(format && { format }), asked }
    const options = { onBusy: 'queue', stream, wish, ...(key !== undefined && { idempotencyKey: key }) } as const
    if (previous) {
      if (turns.some(({ role }) => role !== 'user')) throw refusal('input', 'What goes on from a response is said by the user.', 'unsupported_item')
      const message = sayable.require(turns.map(({ content }) => content).join('\n\n'), 'input')
      return (await chat.goOn(principal, previous.session.id, previous.message, { message }, options)).reply
    }
    const message = sayable.require(turns.at(-1)!.content, 'input')
    const before = turns.slice(0, -1)
    before.forEach(({ content }) => sayable.storable(content, 'input'))
    const mayName = covers(principal, 'sessions:write') && principal.userId === null && asked.user !== null && asked.user.trim() !== ''
    const { tenantId, userId } = principal
    const claim = key === undefined ? undefined : await idempotency.claim({ key, tenantId, userId, operation: ['createResponse'], body: input })
    const session = await sessions.create(principal, { configId, ...(mayName && { userId: asked.user }) }, claim?.record.resourceId)
    await earlier.put(principal, session, before)
    return (await chat.send(principal, session.id, { message }, options)).reply
  }

  /** Writes a response that is not stored; what it goes on from may be. */
  async #write (order: Order, signal: AbortSignal): Promise<ToldResponse> {
    const { writer, messages } = this.#deps
    const { principal, chatbot, request: { turns, sampling, format }, previous, asked, stream } = order
    const line = previous && { ...previous.session, branchId: previous.message.branchId }
    const history = line ? await messages.history(line, { limit: chatbot.historyLimit, before: previous.message.seq + 1 }) : []
    const said: PromptMessage[] = [
      ...systemOf(asked).map((content) => ({ role: 'system', content }) as const),
      ...history.filter(wasSaid).map(({ role, content }) => ({ role: role === 'user' ? 'user' : 'assistant', content }) as const),
      ...turns
    ]
    const [id, createdAt] = [newId(), new Date()]
    const completion = await writer.write(principal, chatbot, { messages: said, sampling, ...(format && { format }) }, { stream, signal })
    return {
      growing: completion,
      state: () => {
        const { finish, text } = completion
        return {
          id: responseId('', id),
          itemId: itemId(id),
          asked,
          isStored: false,
          status: !finish ? 'in_progress' : isCutOff(finish.finishReason) ? 'incomplete' : 'completed',
          text,
          createdAt,
          ...(finish && { endedAt: new Date(), usage: finish.usage })
        }
      }
    }
  }
}
