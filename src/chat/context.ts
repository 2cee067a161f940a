import { setTimeout as delay } from 'node:timers/promises'
import { type Chatbots } from '../chatbots/chatbots.ts'
import { type Chatbot } from '../store/chatbots.ts'
import { type Message } from '../store/message.ts'
import { type MessageRepository } from '../store/messages.ts'
import { type Session } from '../store/sessions.ts'
import { type Endings } from './endings.ts'
import { type RecentLines } from './recent-lines.ts'
import { interruption } from './turn-taking.ts'

// A reply whose end is still on its way to the store is waited for this long.
const SETTLE_ATTEMPTS = 40
const SETTLE_MS = 25
// The largest `historyLimit` there is.
const MAX_HISTORY = 100

/** What a prompt is made of. No chatbot: it is deleted. */
export interface Context {
  readonly chatbot: Chatbot | undefined
  readonly history: Message[]
}

/** Reads what a reply has to take into account. */
export class ContextReader {
  readonly #chatbots: Chatbots
  readonly #messages: MessageRepository
  readonly #endings: Endings
  readonly #lines: RecentLines

  constructor (chatbots: Chatbots, messages: MessageRepository, endings: Endings, lines: RecentLines) {
    this.#chatbots = chatbots
    this.#messages = messages
    this.#endings = endings
    this.#lines = lines
  }

  /** The chatbot, and what was said before `userMessage` on its line: the last `historyLimit` of it. */
  async of (userMessage: Message, session: Session): Promise<Context> {
    for (let attempt = 0; ; attempt++) {
      const { chatbot, history } = await this.#read(userMessage, session)
      // The end of a turn releases it and ends its message at once; the release may be seen first.
      const unsettled = history.filter(({ status }) => status === 'streaming')
      if (unsettled.length === 0) return { chatbot, history: history.slice(-(chatbot?.historyLimit ?? MAX_HISTORY)) }
      // Its process is gone. Now it is settled, whatever that process may still try.
      if (attempt >= SETTLE_ATTEMPTS) await Promise.all(unsettled.map(async ({ id }) => await this.#endings.end(id, interruption)))
      else await delay(SETTLE_MS)
    }
  }

  /** One command at most, except for the first turns of a version that a session keeps to. None, where all is in memory. */
  async #read (userMessage: Message, session: Session): Promise<Context> {
    const { seq, parentId } = userMessage
    const [chatbots, messages] = [this.#chatbots, this.#messages]
    const readAt = performance.now()
    const { tenantId, configId, configVersion } = session
    const recent = chatbots.recent(tenantId, configId, configVersion)
    const known = parentId === null ? [] : this.#lines.before(userMessage, session, recent?.historyLimit ?? MAX_HISTORY)
    if (known) return { chatbot: recent ?? await chatbots.find(tenantId, configId, configVersion), history: known }
    if (recent) return { chatbot: recent, history: await messages.history(session, { limit: recent.historyLimit, before: seq }) }
    if (configVersion !== null) {
      const [chatbot, history] = await Promise.all([
        chatbots.find(tenantId, configId, configVersion), messages.history(session, { limit: MAX_HISTORY, before: seq })
      ])
      return { chatbot, history }
    }
    const context = await messages.historyAndChatbot(session, MAX_HISTORY, seq)
    if (context.chatbot) chatbots.remember(context.chatbot, readAt)
    return context
  }
}
