import { type RemovalGuard } from '../retention/removal-guard.ts'
import { type ChatbotRepository } from '../store/chatbots.ts'
import { type ConversationRepository } from '../store/conversations.ts'
import { type InboundMessageRepository } from '../store/inbound-messages.ts'
import { type IntegrationRepository } from '../store/integrations.ts'
import { type PurgeRepository } from '../store/purges.ts'
import { type SessionRepository } from '../store/sessions.ts'
import { type SessionRemoval } from './session-removal.ts'

const BATCH = 100

interface Dependencies {
  readonly chatbots: ChatbotRepository
  readonly sessions: SessionRepository
  readonly purges: PurgeRepository
  readonly integrations: IntegrationRepository
  readonly conversations: ConversationRepository
  readonly inbound: InboundMessageRepository
  readonly guard: RemovalGuard
  readonly removal: SessionRemoval
}

/** Removes what was deleted: readers cannot see it any more, so this can take its time and start over after a crash. */
export class Purger {
  readonly #deps: Dependencies
  #running: Promise<void> | undefined
  #again = false

  constructor (deps: Dependencies) {
    this.#deps = deps
  }

  /** Purges all there is; resolves when that is done. A call during a run makes it start over. */
  async run (): Promise<void> {
    this.#again = true
    this.#running ??= this.#loop().finally(() => { this.#running = undefined })
    await this.#running
  }

  /** Ends a run after the step it is at. */
  async close (): Promise<void> {
    this.#deps.removal.pace.close()
    await this.#running?.catch(() => {})
  }

  async #loop (): Promise<void> {
    const { chatbots, sessions, integrations, conversations, inbound, guard, removal: { pace } } = this.#deps
    while (this.#again && !pace.isClosed) {
      this.#again = false
      await this.#purgeSessions()
      for (const { id: configId, tenantId } of await chatbots.deleted(BATCH)) {
        // Somebody who is held has begun to speak just when it was deleted.
        if (await guard.isChatbotHeld(tenantId, configId)) continue
        // All of them first: lists walk over those that are not marked.
        const mark = async () => await sessions.markDeletedOf(configId, BATCH)
        while (!pace.isClosed && await pace.step(mark)) { /* the next ones */ }
        await this.#purgeSessions()
        if (await sessions.anyOf(configId)) continue
        await Promise.all([integrations, conversations, inbound].map(async (repository) => await repository.removeOfConfig(configId)))
        await chatbots.purge(configId)
      }
      await this.#purgeCleared()
    }
  }

  async #purgeSessions (): Promise<void> {
    const { purges, removal } = this.#deps
    while (!removal.pace.isClosed) {
      const ids = await purges.deletedSessions(BATCH)
      if (ids.length === 0) return
      const quiet = await removal.quiet(ids)
      if (quiet.length > 0) await removal.remove(quiet)
    }
  }

  async #purgeCleared (): Promise<void> {
    const { purges, removal } = this.#deps
    while (!removal.pace.isClosed) {
      const cleared = await purges.clearedSessions(BATCH)
      if (cleared.length === 0) return
      for (const session of cleared) {
        await removal.removeMessages([session.id], session.clearedSeq)
        if (!removal.pace.isClosed) await purges.settleCleared(session)
      }
    }
  }
}
