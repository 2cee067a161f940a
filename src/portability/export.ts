import { Readable } from 'node:stream'
import { setTimeout as delay } from 'node:timers/promises'
import { type ExportQuery } from '../../schemas/transfer.ts'
import { type Principal } from '../auth/principal.ts'
import { type Chat } from '../chat/chat.ts'
import { goingDown } from '../chat/followed-message.ts'
import { ApiError } from '../errors.ts'
import { type ChangeLog } from '../sessions/change-log.ts'
import { type Message } from '../store/message.ts'
import { type Session, type SessionScope } from '../store/sessions.ts'
import { type Store } from '../store/store.ts'
import { type TransferScope } from '../store/transfers.ts'
import { configLine, configVersionLine, endLine, headerLine, messageLine, sessionLine } from './records.ts'

const SESSIONS = 100
// Few enough to be garbage before they are old: with 500, a million messages made the process grow by 300 MiB.
const MESSAGES = 100
const TURN_CHECK_MS = 50
const TURN_CHECKS = 600

interface Dependencies {
  readonly store: Pick<Store, 'chatbots' | 'sessions' | 'messages' | 'transfers'>
  readonly changes: ChangeLog
  readonly chat: Pick<Chat, 'closing' | 'recover'>
}

/** Pieces are made when they are asked for, so that a slow reader slows the reading down. */
export const streamOf = (pieces: AsyncIterable<string>) => Readable.from(pieces, { highWaterMark: 1 })

/** Conversations as lines, in an order that never changes, in constant memory: what comes next waits for the reader. */
export class Exporter {
  readonly #deps: Dependencies

  constructor (deps: Dependencies) {
    this.#deps = deps
  }

  /** A tenant's conversations, or a user's, or a chatbot's, with the chatbots that they are with. */
  export ({ tenantId }: Principal, query: ExportQuery): Readable {
    return streamOf(this.#lines(tenantId, query))
  }

  async * #lines (tenantId: string, { userId, configId }: ExportQuery): AsyncIterable<string> {
    const { chatbots } = this.#deps.store
    const scope: TransferScope = {
      tenantId, ...(userId !== undefined && { userId }), ...(configId !== undefined && { configId })
    }
    const counts = { configs: 0, sessions: 0, messages: 0 }
    yield headerLine(new Date())
    const configs = new Set<string>()
    for (const id of await this.#configIds(scope)) {
      const chatbot = await chatbots.find(tenantId, id)
      if (!chatbot) continue
      configs.add(id)
      counts.configs++
      yield configLine(chatbot)
      const earlier = chatbots.versions.newest(chatbot, chatbot.version, 0)
      for await (const version of earlier) yield configVersionLine(id, version)
    }
    for await (const session of this.#sessions(scope)) {
      if (!configs.has(session.configId)) continue
      counts.sessions++
      let text = sessionLine(session)
      for await (const messages of this.messagesOf(session)) {
        counts.messages += messages.length
        yield text
        text = messages.map(messageLine).join('')
      }
      yield text
    }
    yield endLine(counts)
  }

  /** The messages of all lines of a session, as it was when it was read, some at a time. */
  async * messagesOf ({ id, clearedSeq, nextSeq }: Session): AsyncIterable<Message[]> {
    let after = clearedSeq
    for (;;) {
      if (this.#deps.chat.closing.aborted) throw goingDown()
      const messages = await this.#deps.store.transfers.messages(id, after, nextSeq, MESSAGES)
      if (messages.length > 0) yield messages
      if (messages.length < MESSAGES) return
      after = messages.at(-1)!.seq
    }
  }

  /** A session as it is once what has begun in it is stored. Undefined: it is gone. */
  async settled (scope: SessionScope, session: Session): Promise<Session | undefined> {
    const { store: { sessions, messages }, changes, chat } = this.#deps
    let current: Session | undefined = session
    for (let check = 0; current && check < TURN_CHECKS; check++) {
      const { id, turn, log }: Session = current
      const isBegun = turn === null || await messages.find(id, turn.messageId) !== undefined
      if (isBegun && log.length === 0) return current
      if (log.length > 0) await changes.settle(current)
      if (!isBegun) {
        // Between taking a turn and its messages lies no more than a moment, unless its process has died.
        await delay(TURN_CHECK_MS)
        await chat.recover(id)
      }
      current = await sessions.find(scope, id)
    }
    if (!current) return undefined
    throw new ApiError('session_busy', { detail: `Session ${session.id} does not come to rest.` })
  }

  async #configIds ({ tenantId, userId, configId }: TransferScope): Promise<Iterable<string>> {
    const { chatbots, transfers } = this.#deps.store
    if (configId !== undefined) return [configId]
    if (userId !== undefined) return [...await transfers.configsOf({ tenantId, userId })].sort()
    return await chatbots.ids(tenantId)
  }

  async * #sessions (scope: TransferScope): AsyncIterable<Session> {
    let after: string | undefined
    for (;;) {
      const found = await this.#deps.store.transfers.sessions(scope, after, SESSIONS)
      for (const session of found) {
        const settled = await this.settled(scope, session)
        if (settled) yield settled
      }
      if (found.length < SESSIONS) return
      after = found.at(-1)!.id
    }
  }
}
