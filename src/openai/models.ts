import { Recall } from '../auth/recall.ts'
import { type Principal } from '../auth/principal.ts'
import { type Chatbots } from '../chatbots/chatbots.ts'
import { ApiError } from '../errors.ts'
import { type Chatbot, type ChatbotBrief, type ChatbotRepository } from '../store/chatbots.ts'
import { refusal, unknown } from './errors.ts'

// OpenAI's list knows no pages.
const MAX_LISTED = 1000

/** A configuration as OpenAI tells of a model. */
export interface Model {
  readonly id: string
  readonly object: 'model'
  readonly created: number
  readonly owned_by: string
  readonly name: string
}

function present ({ id, name, createdAt }: ChatbotBrief): Model {
  return { id, object: 'model', created: Math.floor(createdAt.getTime() / 1000), owned_by: 'parley', name }
}

/** The token of a visitor is for one chatbot and its own conversations, by the API of our own. */
export function refuseVisitors ({ visitor }: Principal): void {
  if (visitor) throw new ApiError('forbidden', { detail: 'The tokens of visitors are for /api.' })
}

/** Configurations as models: found by id or name, from memory where they are in use. */
export class Models {
  readonly #chatbots: Chatbots
  readonly #repository: ChatbotRepository
  readonly #named = new Recall<readonly string[]>(async (key) => {
    const [tenantId, name] = JSON.parse(key) as [string, string]
    return await this.#repository.named(tenantId, name, 2)
  })

  constructor (chatbots: Chatbots, repository: ChatbotRepository) {
    this.#chatbots = chatbots
    this.#repository = repository
  }

  /** The chatbot with an id or a name. */
  async find (principal: Principal, model: string): Promise<Chatbot> {
    refuseVisitors(principal)
    const { tenantId } = principal
    const found = await this.#withId(tenantId, model) ?? await this.#withName(tenantId, model)
    if (!found) throw unknown('model', `The model \`${model}\` does not exist: name a configuration by its id or its name.`, 'model_not_found')
    return found
  }

  async get (principal: Principal, model: string): Promise<Model> {
    return present(await this.find(principal, model))
  }

  /** The newest first. */
  async list (principal: Principal): Promise<{ object: 'list', data: Model[] }> {
    refuseVisitors(principal)
    return { object: 'list', data: (await this.#repository.briefs(principal.tenantId, MAX_LISTED)).map(present) }
  }

  async #withId (tenantId: string, id: string): Promise<Chatbot | undefined> {
    return this.#chatbots.recent(tenantId, id) ?? await this.#chatbots.find(tenantId, id)
  }

  async #withName (tenantId: string, name: string): Promise<Chatbot | undefined> {
    const key = JSON.stringify([tenantId, name])
    const ids = await this.#named.get(key)
    if (ids.length === 1) return await this.#withId(tenantId, ids[0]!)
    // Whoever mends that is to see it at once.
    this.#named.forget(key)
    if (ids.length > 1) throw refusal('model', `Several configurations are named \`${name}\`: name the one that is meant by its id.`, 'ambiguous_model')
    return undefined
  }
}
