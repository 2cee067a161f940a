import { LRUCache } from 'lru-cache'
import { type ChatbotConfig, type ChatbotConfigInput, type ChatbotConfigPatch } from '../../schemas/chatbot-config.ts'
import { ApiError } from '../errors.ts'
import { type Chatbot, type ChatbotRepository, type ChatbotSettings } from '../store/chatbots.ts'
import { newId } from '../store/ids.ts'
import { type PageOf, type PageRequest } from '../store/page.ts'
import { mergePatch } from './merge-patch.ts'
import { settingsFrom } from './settings.ts'

// How long a change made on another replica may go unnoticed by a running conversation.
const STALE_MS = 5000
const MAX_CACHED = 1000
const MAX_PATCH_ATTEMPTS = 5

function present ({ tenantId: _, createdAt, updatedAt, ...rest }: Chatbot): ChatbotConfig {
  return { ...rest, createdAt: createdAt.toISOString(), updatedAt: updatedAt.toISOString() }
}

function settingsOf ({ id: _i, tenantId: _t, version: _v, createdAt: _c, updatedAt: _u, ...settings }: Chatbot): ChatbotSettings {
  return settings
}

const missing = (id: string) => new ApiError('not_found', { detail: `There is no configuration ${id}.` })

const mismatch = () => new ApiError('version_mismatch', { detail: 'The configuration has another version than If-Match says.' })

/** The entity tags of an `If-Match` or `If-None-Match` header, weak ones as `W/"…"`; undefined: any version will do. */
function tagsIn (header: string): string[] | undefined {
  return header.trim() === '*' ? undefined : header.split(',').map((tag) => tag.trim())
}

const tagOf = ({ version }: { version: number }) => `"${version}"`

/** The chatbots of all tenants: configuring them, and handing them to conversations. */
export class Chatbots {
  readonly #repository: ChatbotRepository
  readonly #cache = new LRUCache<string, Chatbot>({ max: MAX_CACHED, ttl: STALE_MS })

  constructor (repository: ChatbotRepository) {
    this.#repository = repository
  }

  /** `id`: where an earlier attempt with it has succeeded, its chatbot is returned. */
  async create (tenantId: string, input: ChatbotConfigInput, id = newId()): Promise<ChatbotConfig> {
    const inserted = await this.#repository.insert(id, tenantId, settingsFrom(input), new Date())
    return present(inserted ? this.remember(inserted) : await this.#require(tenantId, id))
  }

  async list (tenantId: string, request: PageRequest): Promise<PageOf<ChatbotConfig>> {
    const { data, nextCursor } = await this.#repository.page(tenantId, request)
    return { data: data.map(present), nextCursor }
  }

  async get (tenantId: string, id: string): Promise<ChatbotConfig> {
    return present(await this.#require(tenantId, id))
  }

  /** Replaces all settings. `ifMatch`: only where the version is one of these, else `version_mismatch`. */
  async replace (tenantId: string, id: string, input: ChatbotConfigInput, ifMatch?: string): Promise<ChatbotConfig> {
    const settings = settingsFrom(input)
    if (ifMatch === undefined || tagsIn(ifMatch) === undefined) {
      const replaced = await this.#repository.replace(tenantId, id, settings, new Date())
      if (!replaced) throw missing(id)
      return present(this.remember(replaced))
    }
    const { version } = await this.#matching(tenantId, id, ifMatch)
    const replaced = await this.#repository.replace(tenantId, id, settings, new Date(), version)
    if (!replaced) throw mismatch()
    return present(this.remember(replaced))
  }

  /** Applies a merge patch to the settings as they are; two patches at once are both applied. */
  async patch (tenantId: string, id: string, patch: ChatbotConfigPatch, ifMatch?: string): Promise<ChatbotConfig> {
    for (let attempt = 0; attempt < MAX_PATCH_ATTEMPTS; attempt++) {
      const current = await this.#matching(tenantId, id, ifMatch)
      const settings = settingsFrom(mergePatch({ ...settingsOf(current) }, patch) as ChatbotConfigInput)
      const replaced = await this.#repository.replace(tenantId, id, settings, new Date(), current.version)
      if (replaced) return present(this.remember(replaced))
    }
    throw new ApiError('conflict', { detail: 'The configuration is being changed by too many at once.' })
  }

  /** Hides a chatbot, and with it its sessions, from every reader. */
  async delete (tenantId: string, id: string): Promise<void> {
    if (!await this.#repository.markDeleted(tenantId, id, new Date())) throw missing(id)
    this.#cache.delete(id)
  }

  /** A chatbot from memory; at most a few seconds older than what another replica has stored. */
  recent (tenantId: string, id: string): Chatbot | undefined {
    const cached = this.#cache.get(id)
    return cached?.tenantId === tenantId ? cached : undefined
  }

  /** A chatbot as it is stored now. Undefined: there is none, or it is deleted. */
  async find (tenantId: string, id: string): Promise<Chatbot | undefined> {
    const found = await this.#repository.find(tenantId, id)
    return found && this.remember(found)
  }

  /** Keeps what was just read from the store. */
  remember (chatbot: Chatbot): Chatbot {
    this.#cache.set(chatbot.id, chatbot)
    return chatbot
  }

  /** Which of `ids` are not deleted, as the store knows it now. */
  async living (tenantId: string, ids: string[]): Promise<Set<string>> {
    return await this.#repository.living(tenantId, ids)
  }

  /** Whether an `If-None-Match` header names the version that the reader would get. */
  isUnchanged (config: ChatbotConfig, ifNoneMatch: string): boolean {
    // Weak tags count here (RFC 9110, 13.1.2): a proxy that compresses makes them of ours.
    return tagsIn(ifNoneMatch)?.some((tag) => tag.replace(/^W\//, '') === tagOf(config)) ?? true
  }

  async #require (tenantId: string, id: string): Promise<Chatbot> {
    const found = await this.find(tenantId, id)
    if (!found) throw missing(id)
    return found
  }

  async #matching (tenantId: string, id: string, ifMatch?: string): Promise<Chatbot> {
    const current = await this.#require(tenantId, id)
    if (ifMatch !== undefined && tagsIn(ifMatch)?.includes(tagOf(current)) === false) throw mismatch()
    return current
  }
}
