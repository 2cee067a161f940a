import { ApiError } from '../errors.ts'
import { type Message } from '../store/message.ts'
import { type Store } from '../store/store.ts'
import { type MovedSession, type Place } from '../store/transfers.ts'
import { wrongLine } from './lines.ts'

const MAX_SESSIONS = 100
const MAX_MESSAGES = 500
const MAX_CHARS = 4 * 1024 * 1024

/** Something to be written, and the line that it came from. */
interface Item<T> {
  readonly line: number
  readonly value: T
}

/** Sessions and messages that are written together. Each step can be repeated, and none touches what is there. */
export class ImportBatch {
  readonly #store: Pick<Store, 'chatbots' | 'transfers'>
  readonly #tenantId: string
  readonly imported = { sessions: 0, messages: 0 }
  #sessions = new Map<string, Item<MovedSession>>()
  #messages = new Map<string, Item<Message>>()
  #chars = 0
  /** Sessions that got messages and that the search is to look at. */
  #touched = new Set<string>()

  constructor (store: Pick<Store, 'chatbots' | 'transfers'>, tenantId: string) {
    this.#store = store
    this.#tenantId = tenantId
  }

  async addSession (session: MovedSession, line: number): Promise<void> {
    if (this.#sessions.has(session.id)) throw taken(line)
    if (this.#sessions.size >= MAX_SESSIONS) await this.flush()
    this.#sessions.set(session.id, { line, value: session })
  }

  async addMessage (message: Message, line: number): Promise<void> {
    if (this.#messages.has(message.id)) throw taken(line)
    this.#messages.set(message.id, { line, value: message })
    this.#chars += message.content.length
    if (this.#messages.size >= MAX_MESSAGES || this.#chars >= MAX_CHARS) await this.flush()
  }

  /** Writes what has come so far. */
  async flush (): Promise<void> {
    const [sessions, messages] = [this.#sessions, this.#messages]
    this.#sessions = new Map()
    this.#messages = new Map()
    this.#chars = 0
    if (sessions.size > 0) await this.#writeSessions(sessions)
    if (messages.size > 0) await this.#writeMessages(messages)
    if (this.#touched.size >= MAX_SESSIONS) await this.close()
  }

  /** Has the search find what was written. */
  async close (): Promise<void> {
    await this.#store.transfers.reindex(this.#touched)
    this.#touched.clear()
  }

  async #writeSessions (sessions: ReadonlyMap<string, Item<MovedSession>>): Promise<void> {
    const { chatbots, transfers } = this.#store
    const places = await transfers.places(sessions.keys())
    for (const [id, place] of places) this.#requireOurs(place, sessions.get(id)!.line)
    const fresh = [...sessions.values()].filter(({ value }) => !places.has(value.id))
    const configIds = [...new Set(fresh.map(({ value }) => value.configId))]
    const living = await chatbots.living(this.#tenantId, configIds)
    const orphan = fresh.find(({ value }) => !living.has(value.configId))
    if (orphan) throw wrongLine(orphan.line, 'must be a configuration of the file or of this server', '/configId')
    if (!await transfers.insertSessions(fresh.map(({ value }) => value))) throw taken(fresh[0]!.line)
    this.imported.sessions += fresh.length
    // Deleted meanwhile, a chatbot may have been purged before there were these sessions to purge with it.
    const stillLiving = await chatbots.living(this.#tenantId, configIds)
    if (stillLiving.size === living.size) return
    await transfers.hide(fresh.filter(({ value }) => !stillLiving.has(value.configId)).map(({ value }) => value.id))
    throw taken(fresh[0]!.line)
  }

  async #writeMessages (messages: ReadonlyMap<string, Item<Message>>): Promise<void> {
    const { transfers } = this.#store
    const sessionIds = new Set(Array.from(messages.values(), ({ value }) => value.sessionId))
    const [places, known] = await Promise.all([transfers.places(sessionIds), transfers.sessionsOf(messages.keys())])
    const fresh: Array<Item<Message>> = []
    for (const item of messages.values()) {
      const { id, sessionId, seq } = item.value
      const place = places.get(sessionId)
      this.#requireOurs(place, item.line)
      if (known.has(id)) {
        if (known.get(id) !== sessionId) throw taken(item.line)
      } else if (seq > place!.clearedSeq && seq < place!.nextSeq) fresh.push(item)
    }
    if (fresh.length === 0) return
    const ids = fresh.map(({ value }) => value.id)
    const touched = new Set(fresh.map(({ value }) => value.sessionId))
    touched.forEach((id) => this.#touched.add(id))
    if (!await transfers.insertMessages(fresh.map(({ value }) => value))) throw taken(fresh[0]!.line)
    this.imported.messages += fresh.length
    // What was deleted meanwhile may have been purged before there were these messages to purge with it.
    const stillThere = await transfers.places(touched)
    if ([...touched].every((id) => stillThere.get(id)?.isPresent)) return
    await transfers.removeMessages(ids)
    throw taken(fresh[0]!.line)
  }

  #requireOurs (place: Place | undefined, line: number): void {
    if (place?.tenantId !== this.#tenantId || !place.isPresent) throw taken(line)
  }
}

/** An id that is borne by something else, of which nothing is said. */
export function taken (line: number): ApiError {
  return new ApiError('conflict', { detail: `Line ${line} cannot be imported: its id is taken.` })
}
