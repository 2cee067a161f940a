import { LRUCache } from 'lru-cache'
import {
  type ChatbotConfig, type ChatbotConfigInput, type ChatbotConfigPatch, type ChatbotConfigReplacement
} from '../../schemas/chatbot-config.ts'
import { type ChatbotSettingsInput } from '../../schemas/chatbot-settings.ts'
import { type RollbackInput } from '../../schemas/config-version.ts'
import { type WebhookEventData } from '../../schemas/webhook-event.ts'
import { type Bus } from '../bus/bus.ts'
import { ApiError } from '../errors.ts'
import { settingsIn } from '../store/chatbot-settings.ts'
import { type ChatbotVersion } from '../store/chatbot-versions.ts'
import { type Chatbot, type ChatbotChange, type ChatbotRepository, currentVersion } from '../store/chatbots.ts'
import { newId } from '../store/ids.ts'
import { type OutboxEntry } from '../store/outbox.ts'
import { type PageOf, type PageRequest } from '../store/page.ts'
import { type Relay } from '../webhooks/relay.ts'
import { allowsChange, namesVersion } from './entity-tags.ts'
import { mergePatch } from './merge-patch.ts'
import { RecentChatbots } from './recent-chatbots.ts'
import { settingsFrom } from './settings.ts'

const MAX_CACHED_VERSIONS = 1000
const MAX_ATTEMPTS = 10

const missing = (id: string) => new ApiError('not_found', { detail: `There is no configuration ${id}.` })

const versionKey = ({ id }: Chatbot, version: number) => `${id}/${version}`

const asOf = (chatbot: Chatbot, { version, note, createdAt, settings }: ChatbotVersion): Chatbot =>
  ({ ...chatbot, ...settings, version, note, updatedAt: createdAt })

function present ({ tenantId: _, createdAt, updatedAt, ...rest }: Chatbot): ChatbotConfig {
  return { ...rest, createdAt: createdAt.toISOString(), updatedAt: updatedAt.toISOString() }
}

/** The chatbots of all tenants: configuring them, and handing them to conversations. */
export class Chatbots {
  readonly #repository: ChatbotRepository
  readonly #recent: RecentChatbots
  readonly #relay: Relay
  // They never change. Whether the chatbot lives is asked apart from them.
  readonly #versions = new LRUCache<string, ChatbotVersion>({ max: MAX_CACHED_VERSIONS })

  constructor (repository: ChatbotRepository, bus: Bus, relay: Relay) {
    this.#repository = repository
    this.#relay = relay
    this.#recent = new RecentChatbots(bus)
  }

  /** `id`: where an earlier attempt with it has succeeded, its chatbot is returned. */
  async create (tenantId: string, input: ChatbotConfigInput, id = newId()): Promise<ChatbotConfig> {
    const { note = null, specificationId = null } = input
    const now = new Date()
    return await this.insert({
      id, tenantId, ...settingsFrom(input), specificationId, version: 1, note, createdAt: now, updatedAt: now
    })
  }

  /** Adds a chatbot with the versions before its current one. One with its id that is there already is returned instead. */
  async insert (chatbot: Chatbot, earlier: readonly ChatbotVersion[] = []): Promise<ChatbotConfig> {
    const { id, tenantId, version } = chatbot
    const entry = this.#entry(tenantId, { configId: id, version, change: 'created' })
    const inserted = await this.#repository.insert(chatbot, earlier, entry)
    if (inserted) this.#tell(inserted, entry)
    return present(inserted ? this.remember(inserted) : await this.require(chatbot.tenantId, chatbot.id))
  }

  async list (tenantId: string, request: PageRequest): Promise<PageOf<ChatbotConfig>> {
    const { data, nextCursor } = await this.#repository.page(tenantId, request)
    return { data: data.map(present), nextCursor }
  }

  async get (tenantId: string, id: string): Promise<ChatbotConfig> {
    return present(await this.require(tenantId, id))
  }

  /** Replaces all settings. `ifMatch`: only where the version is one of these, else `version_mismatch`. */
  async replace (tenantId: string, id: string, input: ChatbotConfigReplacement, ifMatch?: string): Promise<ChatbotConfig> {
    const change = { settings: settingsFrom(input), note: input.note ?? null }
    return await this.#change(tenantId, id, ifMatch, async () => change)
  }

  /** Applies a merge patch to the settings as they are; two patches at once are both applied. */
  async patch (tenantId: string, id: string, patch: ChatbotConfigPatch, ifMatch?: string): Promise<ChatbotConfig> {
    return await this.#change(tenantId, id, ifMatch, async (current) => ({
      settings: settingsFrom(mergePatch({ ...settingsIn(current) }, patch) as ChatbotSettingsInput),
      note: patch.note ?? null
    }))
  }

  /** Makes a new version with the settings of an earlier one. Throws `not_found` where there is no such version. */
  async rollback (tenantId: string, id: string, { version, note }: RollbackInput, ifMatch?: string): Promise<ChatbotConfig> {
    return await this.#change(tenantId, id, ifMatch, async (current) => {
      const { settings } = await this.requireVersion(current, version)
      return { settings, note: note ?? null }
    })
  }

  /** Hides a chatbot, and with it its sessions, from every reader. False: it is gone, or the claim is not good any more. */
  async delete (tenantId: string, id: string, claim: string): Promise<boolean> {
    const entry = this.#entry(tenantId, { configId: id, change: 'deleted' })
    if (!await this.#repository.markDeleted(tenantId, id, claim, new Date(), entry)) return false
    this.#recent.tellDeleted(id)
    this.#tell({ id, tenantId }, entry)
    return true
  }

  /**
   * A chatbot from memory, as it is or with the settings of `version`. Undefined: it has to be found. At most a few seconds
   * older than what another replica has stored.
   */
  recent (tenantId: string, id: string, version: number | null = null): Chatbot | undefined {
    const chatbot = this.#recent.get(id)
    if (chatbot?.tenantId !== tenantId) return undefined
    if (version === null || version === chatbot.version) return chatbot
    const kept = this.#versions.get(versionKey(chatbot, version))
    return kept && asOf(chatbot, kept)
  }

  /** A chatbot as it is stored now, or with the settings of `version`. Undefined: there is none, or it is deleted. */
  async find (tenantId: string, id: string, version: number | null = null): Promise<Chatbot | undefined> {
    const readAt = performance.now()
    const chatbot = await this.#repository.find(tenantId, id)
    if (!chatbot) return undefined
    this.remember(chatbot, readAt)
    if (version === null) return chatbot
    const kept = await this.findVersion(chatbot, version)
    return kept && asOf(chatbot, kept)
  }

  /** As `find`. Throws `not_found`. */
  async require (tenantId: string, id: string): Promise<Chatbot> {
    const found = await this.find(tenantId, id)
    if (!found) throw missing(id)
    return found
  }

  /** A version of a chatbot that was just read. Undefined: it has none of this number. */
  async findVersion (chatbot: Chatbot, version: number): Promise<ChatbotVersion | undefined> {
    if (version >= chatbot.version) return version === chatbot.version ? currentVersion(chatbot) : undefined
    const key = versionKey(chatbot, version)
    const found = this.#versions.get(key) ?? await this.#repository.versions.find(chatbot, version)
    if (found) this.#versions.set(key, found)
    return found
  }

  /** As `findVersion`. Throws `not_found`. */
  async requireVersion (chatbot: Chatbot, version: number): Promise<ChatbotVersion> {
    const found = await this.findVersion(chatbot, version)
    if (!found) throw new ApiError('not_found', { detail: `The configuration ${chatbot.id} has no version ${version}.` })
    return found
  }

  /** Keeps what was read from the store, in a reading that began at `readAt` by `performance.now()`. */
  remember (chatbot: Chatbot, readAt = performance.now()): Chatbot {
    this.#recent.set(chatbot, readAt)
    return chatbot
  }

  /** Which of `ids` are not deleted, as the store knows it now. */
  async living (tenantId: string, ids: string[]): Promise<Set<string>> {
    return await this.#repository.living(tenantId, ids)
  }

  /** Whether an `If-None-Match` header names the version that the reader would get. */
  isUnchanged (config: ChatbotConfig, ifNoneMatch: string): boolean {
    return namesVersion(ifNoneMatch, config)
  }

  /** Makes the next version of what is there; where somebody else was faster, of what is there then. */
  async #change (
    tenantId: string, id: string, ifMatch: string | undefined, changeOf: (current: Chatbot) => Promise<ChatbotChange>
  ): Promise<ChatbotConfig> {
    for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
      const current = await this.require(tenantId, id)
      if (ifMatch !== undefined && !allowsChange(ifMatch, current)) {
        throw new ApiError('version_mismatch', { detail: 'The configuration has another version than If-Match says.' })
      }
      const entry = this.#entry(tenantId, { configId: id, version: current.version + 1, change: 'updated' })
      const changed = await this.#repository.change(current, await changeOf(current), new Date(), entry)
      if (!changed) continue
      this.#recent.tellChanged(changed)
      this.#tell(changed, entry)
      return present(this.remember(changed))
    }
    throw new ApiError('conflict', { detail: 'The configuration is being changed by too many at once.' })
  }

  #entry (tenantId: string, data: WebhookEventData<'config.changed'>): OutboxEntry | undefined {
    return this.#relay.entry(tenantId, 'config.changed', () => data)
  }

  #tell ({ id, tenantId }: Pick<Chatbot, 'id' | 'tenantId'>, entry: OutboxEntry | undefined): void {
    this.#relay.push(this.#repository.outbox, id, tenantId, entry)
  }
}
