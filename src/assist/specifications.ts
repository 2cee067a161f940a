import { type Specification as SpecificationView, type SpecificationInput } from '../../schemas/specification.ts'
import { type Principal } from '../auth/principal.ts'
import { goingDown } from '../chat/followed-message.ts'
import { languageTag } from '../chatbots/language.ts'
import { ApiError } from '../errors.ts'
import { type ChatProvider } from '../llm/provider.ts'
import { newId } from '../store/ids.ts'
import { type PageOf, type PageRequest } from '../store/page.ts'
import { type Meter } from '../usage/metered.ts'
import { type Drafted, type Specification, type SpecificationRepository } from '../store/specifications.ts'
import { draftByModel } from './draft-by-model.ts'
import { draftByRules } from './draft-by-rules.ts'
import { guessLanguage } from './guess-language.ts'

const missing = (id: string) => new ApiError('not_found', { detail: `There is no specification ${id}.` })

function present ({ tenantId: _, createdAt, ...rest }: Specification): SpecificationView {
  const { draft = null, error } = rest
  const status = draft ? 'drafted' : error ? 'failed' : 'pending'
  return { ...rest, draft, status, createdAt: createdAt.toISOString() }
}

/** The tag of the language that is asked for. Throws `validation_failed` for one that is none. */
function tagOf (language: string): string {
  const tag = languageTag(language)
  if (tag !== undefined) return tag
  throw new ApiError('validation_failed', {
    detail: 'The language is not known.',
    members: { errors: [{ path: '/language', message: 'must be a BCP 47 tag or the English name of a language' }] }
  })
}

/** How a draft is asked for. */
interface Ask {
  /** The language is given, not guessed. */
  readonly isGiven: boolean
  readonly keyId: string | null
}

/** Briefs, and the configurations that are drafted from them. */
export class Specifications {
  readonly #repository: SpecificationRepository
  readonly #provider: ChatProvider
  readonly #meter: Meter
  /** What is being drafted here: a twin of a request waits for the same draft. */
  readonly #running = new Map<string, Promise<Specification>>()
  readonly #closing = new AbortController()

  constructor (repository: SpecificationRepository, provider: ChatProvider, meter: Meter) {
    this.#repository = repository
    this.#provider = provider
    this.#meter = meter
  }

  /**
   * Keeps a brief and drafts a configuration from it. `id`: where an earlier attempt with it has got through, its draft
   * is returned; else it is made again. Throws what the model failed with; the problem names the specification.
   */
  async create ({ tenantId, keyId }: Pick<Principal, 'tenantId' | 'keyId'>, { brief, language }: SpecificationInput, id = newId()): Promise<SpecificationView> {
    const tag = language === undefined ? guessLanguage(brief) : tagOf(language)
    await this.#repository.insert({ id, tenantId, brief, language: tag, createdAt: new Date() })
    const specification = await this.#require(tenantId, id)
    if (specification.draft) return present(specification)
    let running = this.#running.get(id)
    if (!running) {
      running = this.#draft(specification, { isGiven: language !== undefined, keyId: keyId ?? null }).finally(() => this.#running.delete(id))
      this.#running.set(id, running)
    }
    return present(await running)
  }

  async list (tenantId: string, request: PageRequest): Promise<PageOf<SpecificationView>> {
    const { data, nextCursor } = await this.#repository.page(tenantId, request)
    return { data: data.map(present), nextCursor }
  }

  async get (tenantId: string, id: string): Promise<SpecificationView> {
    return present(await this.#require(tenantId, id))
  }

  /** Throws `validation_failed`, for the member `specificationId` of a body, where there is no such specification. */
  async expect (tenantId: string, id: string | undefined): Promise<void> {
    if (id === undefined || await this.#repository.find(tenantId, id)) return
    throw new ApiError('validation_failed', {
      detail: 'There is no such specification.',
      members: { errors: [{ path: '/specificationId', message: 'must be the id of a specification' }] }
    })
  }

  /** Ends what is being drafted here. */
  close (): void {
    this.#closing.abort(goingDown())
  }

  async #draft (specification: Specification, ask: Ask): Promise<Specification> {
    const { id, tenantId } = specification
    await this.#repository.keep(id, await this.#write(specification, ask))
    return await this.#require(tenantId, id)
  }

  async #write (specification: Specification, { isGiven, keyId }: Ask): Promise<Drafted> {
    const { id, tenantId, brief, language } = specification
    if (!this.#provider.isModel) return { draft: await draftByRules(brief, language), source: 'rules' }
    const metered = this.#meter({ tenantId, keyId, configId: null, userId: null, purpose: 'specification' })
    try {
      return await draftByModel(metered, { ...specification, isGiven }, this.#closing.signal)
    } catch (error) {
      if (!(error instanceof ApiError)) throw error
      await this.#repository.fail(id, { code: error.code, detail: error.message })
      throw new ApiError(error.code, {
        detail: error.message, headers: error.headers, members: { specificationId: id }, cause: error
      })
    }
  }

  async #require (tenantId: string, id: string): Promise<Specification> {
    const found = await this.#repository.find(tenantId, id)
    if (!found) throw missing(id)
    return found
  }
}
