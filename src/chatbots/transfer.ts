import { isDeepStrictEqual } from 'node:util'
import { type ChatbotConfig } from '../../schemas/chatbot-config.ts'
import {
  CONFIG_FORMAT, CONFIG_FORMAT_VERSION, type ConfigExport, type ConfigImport, MAX_EXPORT_BYTES, MAX_EXPORTED_VERSIONS
} from '../../schemas/config-export.ts'
import { ApiError } from '../errors.ts'
import { settingsIn } from '../store/chatbot-settings.ts'
import { type ChatbotVersion, type ChatbotVersionRepository } from '../store/chatbot-versions.ts'
import { type Chatbot, currentVersion } from '../store/chatbots.ts'
import { newId } from '../store/ids.ts'
import { type Chatbots } from './chatbots.ts'
import { isObject } from './merge-patch.ts'
import { settingsFrom } from './settings.ts'
import { presentVersion } from './versions.ts'

// What a document has beside its settings and versions.
const FRAME_BYTES = 1024
// How far the clock of the server that exported may be ahead of ours.
const CLOCK_TOLERANCE_MS = 24 * 3600 * 1000

const bytesOf = (value: unknown) => Buffer.byteLength(JSON.stringify(value)) + 1

const wrong = (path: string, message: string) =>
  new ApiError('validation_failed', { detail: `The body does not fit: ${path} ${message}.`, members: { errors: [{ path, message }] } })

function timeFrom (text: string, path: string): Date {
  const time = new Date(text)
  // Of a leap second, which the format allows, there is no time in milliseconds.
  if (time.getTime() >= 0 && time.getTime() <= Date.now() + CLOCK_TOLERANCE_MS) return time
  throw wrong(path, 'must be a time between 1970 and now')
}

/** The history in a document, numbered from 1. */
function historyIn ({ config, versions = [] }: ConfigImport): { earlier: ChatbotVersion[], newest: ChatbotVersion } {
  const settings = settingsFrom(config, '/config')
  const history = versions.map((version, i): ChatbotVersion => ({
    version: i + 1,
    note: version.note ?? null,
    createdAt: timeFrom(version.createdAt, `/versions/${i}/createdAt`),
    settings: settingsFrom(version.settings, `/versions/${i}/settings`)
  }))
  const last = history.at(-1)
  if (last && isDeepStrictEqual(last.settings, settings)) return { earlier: history.slice(0, -1), newest: last }
  return { earlier: history, newest: { version: history.length + 1, note: null, createdAt: new Date(), settings } }
}

/** Taking configurations from one place to another, as one document. */
export class ChatbotTransfer {
  readonly #chatbots: Chatbots
  readonly #versions: ChatbotVersionRepository

  constructor (chatbots: Chatbots, versions: ChatbotVersionRepository) {
    this.#chatbots = chatbots
    this.#versions = versions
  }

  /** As much of the history as one document may hold, from its newest end. */
  async export (tenantId: string, id: string): Promise<ConfigExport> {
    const chatbot = await this.#chatbots.require(tenantId, id)
    const config = settingsIn(chatbot)
    const versions: ConfigExport['versions'] = []
    let bytesLeft = MAX_EXPORT_BYTES - FRAME_BYTES - bytesOf(config)
    for await (const version of this.#newest(chatbot)) {
      const presented = presentVersion(version)
      bytesLeft -= bytesOf(presented)
      if (bytesLeft < 0) break
      versions.unshift(presented)
    }
    return { format: CONFIG_FORMAT, formatVersion: CONFIG_FORMAT_VERSION, exportedAt: new Date().toISOString(), config, versions }
  }

  /** Whether a body is a document of ours is told before its members are looked at. Throws `validation_failed`. */
  requireFormat (body: unknown): void {
    if (!isObject(body)) return
    if (body['format'] !== CONFIG_FORMAT) throw wrong('/format', `must be "${CONFIG_FORMAT}"; the document is of another kind`)
    if (body['formatVersion'] !== CONFIG_FORMAT_VERSION) throw wrong('/formatVersion', `must be ${CONFIG_FORMAT_VERSION}, the one that is known here`)
  }

  /** Makes a new chatbot. `id`: where an earlier attempt with it has succeeded, its chatbot is returned. */
  async import (tenantId: string, document: ConfigImport, id = newId()): Promise<ChatbotConfig> {
    const { earlier, newest } = historyIn(document)
    const { version, note, createdAt: updatedAt, settings } = newest
    const { createdAt } = earlier[0] ?? newest
    return await this.#chatbots.insert({ id, tenantId, ...settings, specificationId: null, version, note, createdAt, updatedAt }, earlier)
  }

  async * #newest (chatbot: Chatbot): AsyncIterable<ChatbotVersion> {
    yield currentVersion(chatbot)
    yield * this.#versions.newest(chatbot, chatbot.version, MAX_EXPORTED_VERSIONS - 1)
  }
}
