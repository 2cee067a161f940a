import { contextBudget, fills } from '../chat/context-budget.ts'
import { type EndedTurn } from '../chat/ended-turn.ts'
import { type ChatProvider } from '../llm/provider.ts'
import { type ChangeLog } from '../sessions/change-log.ts'
import { summaryOf } from '../sessions/lines.ts'
import { nothingRemoved, type UpkeepRepository } from '../store/upkeep.ts'
import { type Meter } from '../usage/metered.ts'
import { Background } from './background.ts'
import { type Summaries, TOKENS_WORTH_A_SUMMARY } from './summaries.ts'
import { makeTitle } from './titles.ts'

interface Dependencies {
  readonly changes: ChangeLog
  readonly upkeep: UpkeepRepository
  readonly summaries: Summaries
  readonly provider: ChatProvider
  readonly meter: Meter
  readonly log: { warn (details: object, message: string): void }
}

/** What is done for a session behind its turns: its title, and a summary of what its prompts are about to leave out. */
export class Upkeep {
  readonly #deps: Dependencies
  readonly #background: Background

  constructor (deps: Dependencies) {
    this.#deps = deps
    this.#background = new Background((error) => deps.log.warn({ err: error }, 'a title or summary could not be made'))
  }

  /** Decides, by what the turn knows, what is to be done after it; it is done when there is time. */
  after (turn: EndedTurn): void {
    const { session: { id, tenantId, title }, chatbot, reply: { status }, keyId } = turn
    if (status !== 'completed' && status !== 'stopped') return
    if (chatbot.titles && title === null) {
      this.#background.add(`title of ${id}`, async (signal) => await this.#title(turn, signal))
    }
    if (chatbot.summaries && this.#isDue(turn)) {
      const { summaries } = this.#deps
      this.#background.add(`summary of ${id}`, async (signal) => await summaries.roll({ tenantId }, id, { keyId, signal }))
    }
  }

  /** Resolves when there is nothing left to do. */
  async idle (): Promise<void> {
    await this.#background.idle()
  }

  /** Ends what is being done. */
  async close (): Promise<void> {
    this.#deps.summaries.close()
    await this.#background.close()
  }

  async #title ({ session, chatbot, userMessage, reply, keyId }: EndedTurn, signal: AbortSignal): Promise<void> {
    const { id: sessionId, tenantId, configId, userId } = session
    const metered = this.#deps.meter({ tenantId, configId, userId, keyId, purpose: 'title' })
    const { text, usage } = await makeTitle(metered, {
      sessionId, tenantId, question: userMessage.content, reply: reply.content, language: chatbot.tone.language
    }, signal)
    const titleFrom = usage ? [userMessage.seq, reply.seq] : [userMessage.seq]
    const data = { title: text, titleFrom }
    await Promise.all([
      // Not where there is a title by now, or where a text that it is made of is gone.
      this.#deps.changes.make({ tenantId }, sessionId, {
        type: 'session.updated', data, set: data, guard: { title: null, ...nothingRemoved(session) }
      }),
      this.#deps.upkeep.charge(sessionId, usage)
    ])
  }

  /**
   * Whether the summary must be brought up to date now: one more exchange, and the turn after it would lack messages
   * that no summary covers. So there is the time of a whole turn for it.
   */
  #isDue ({ session, chatbot: { historyLimit, model }, history, userMessage, reply }: EndedTurn): boolean {
    const through = summaryOf(session)?.throughSeq ?? 0
    const since = [...history, userMessage, reply].filter(({ seq }) => seq > through)
    const { messages, tokens } = contextBudget(historyLimit, this.#deps.provider.windowOf(model.name))
    return fills(since, { messages: messages - 1, tokens: Math.min(tokens, TOKENS_WORTH_A_SUMMARY) })
  }
}
