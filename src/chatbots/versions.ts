import { type ConfigDiff, type ConfigVersion, type ConfigVersionHead } from '../../schemas/config-version.ts'
import { type ChatbotVersion, type ChatbotVersionHead, type ChatbotVersionRepository } from '../store/chatbot-versions.ts'
import { currentVersion } from '../store/chatbots.ts'
import { type PageOf, type PageRequest, wrongCursor } from '../store/page.ts'
import { type Chatbots } from './chatbots.ts'
import { changesBetween } from './settings-diff.ts'

const presentHead = ({ version, note, createdAt }: ChatbotVersionHead): ConfigVersionHead =>
  ({ version, note, createdAt: createdAt.toISOString() })

/** A version as clients see it. */
export const presentVersion = (version: ChatbotVersion): ConfigVersion => ({ ...presentHead(version), settings: version.settings })

/** The cursor of this list is the number of the last version on the page. */
function numberIn (cursor: string): number {
  if (/^[1-9]\d{0,9}$/.test(cursor)) return Number(cursor)
  throw wrongCursor()
}

/** What chatbots were before, and how that differs from what they became. */
export class ChatbotVersions {
  readonly #chatbots: Chatbots
  readonly #repository: ChatbotVersionRepository

  constructor (chatbots: Chatbots, repository: ChatbotVersionRepository) {
    this.#chatbots = chatbots
    this.#repository = repository
  }

  /** The newest first. */
  async list (tenantId: string, id: string, { limit, cursor }: PageRequest): Promise<PageOf<ConfigVersionHead>> {
    const below = cursor === undefined ? Infinity : numberIn(cursor)
    const chatbot = await this.#chatbots.require(tenantId, id)
    const current = chatbot.version < below ? [currentVersion(chatbot)] : []
    const earlier = await this.#repository.heads(chatbot, Math.min(below, chatbot.version), limit + 1)
    const found = [...current, ...earlier]
    const data = found.slice(0, limit).map(presentHead)
    return { data, nextCursor: found.length > limit ? String(data.at(-1)!.version) : null }
  }

  /** Throws `not_found` where there is no such version. */
  async get (tenantId: string, id: string, version: number): Promise<ConfigVersion> {
    const chatbot = await this.#chatbots.require(tenantId, id)
    return presentVersion(await this.#chatbots.requireVersion(chatbot, version))
  }

  /** `other`: the version to compare with, else the one before. Throws `not_found` where one of them is missing. */
  async diff (tenantId: string, id: string, version: number, other = version - 1): Promise<ConfigDiff> {
    const chatbot = await this.#chatbots.require(tenantId, id)
    const { settings } = await this.#chatbots.requireVersion(chatbot, version)
    const before = other === 0 ? {} : (await this.#chatbots.requireVersion(chatbot, other)).settings
    return { version, with: other === 0 ? null : other, changes: changesBetween({ ...before }, { ...settings }) }
  }
}
