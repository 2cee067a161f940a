import { type Search } from '../search/search.ts'
import { type ConversationRepository } from '../store/conversations.ts'
import { type InboundMessageRepository } from '../store/inbound-messages.ts'
import { type MessageRepository } from '../store/messages.ts'
import { type PurgeRepository } from '../store/purges.ts'
import { type WebhookDeliveryRepository } from '../store/webhook-deliveries.ts'
import { Pace } from './pace.ts'
import { type Stopper } from './stopper.ts'
import { type UsageLedger } from '../usage/ledger.ts'
import { type TurnTaking } from './turn-taking.ts'
import { type WaitingLine } from './waiting-line.ts'

const MESSAGES = 500
const CHANGES = 500
const TURN_CHECK_MS = 50

interface Dependencies {
  readonly purges: PurgeRepository
  readonly conversations: ConversationRepository
  readonly inbound: InboundMessageRepository
  readonly deliveries: WebhookDeliveryRepository
  readonly messages: MessageRepository
  readonly turns: TurnTaking
  readonly search: Search
  readonly ledger: UsageLedger
  readonly stopper: Stopper
  readonly line: WaitingLine
}

/** Removes sessions that no reader sees any more, in small steps. It can be cut off after any and starts over. */
export class SessionRemoval {
  /** Closed, it ends all removals after the step that they are at. */
  readonly pace = new Pace()
  readonly #deps: Dependencies

  constructor (deps: Dependencies) {
    this.#deps = deps
  }

  /** Tells whoever replies or waits in these sessions, here or elsewhere, that they are gone. */
  async callOff (sessionIds: readonly string[]): Promise<void> {
    const { purges, stopper, line } = this.#deps
    for (const sessionId of await purges.held(sessionIds)) {
      stopper.abort({ sessionId })
      line.dismiss(sessionId)
    }
  }

  /**
   * Ends turns that still run in these sessions, here or elsewhere: what they write must not come after the removal.
   * Answers those that had none, so that nobody writes to them any more; where all had one, after a while.
   */
  async quiet (sessionIds: readonly string[]): Promise<string[]> {
    const held = await this.#deps.purges.held(sessionIds)
    for (const id of held) await this.#endTurn(id)
    if (held.size === sessionIds.length) await this.pace.rest(TURN_CHECK_MS)
    return sessionIds.filter((id) => !held.has(id))
  }

  /** Removes these sessions with all that belongs to them, the sessions last. Ends early when closed. */
  async remove (sessionIds: readonly string[]): Promise<void> {
    const { pace } = this
    const { purges, conversations, inbound, deliveries } = this.#deps
    if (!pace.isClosed) await pace.step(async () => await purges.noteDeletions(sessionIds))
    await this.removeMessages(sessionIds)
    const removeChanges = async () => await purges.removeChanges(sessionIds, CHANGES)
    while (!pace.isClosed && !await pace.step(removeChanges)) { /* the next ones */ }
    const removeOfSessions = async () => {
      await Promise.all([conversations, inbound, deliveries].map(async (repository) => await repository.removeOfSessions(sessionIds)))
    }
    if (!pace.isClosed) await pace.step(removeOfSessions)
    if (!pace.isClosed) await pace.step(async () => await purges.removeSessions(sessionIds))
  }

  /** Removes the messages of these sessions; where `throughSeq` is given, those up to it. Ends early when closed. */
  async removeMessages (sessionIds: readonly string[], throughSeq?: number): Promise<void> {
    const { pace } = this
    const { purges, search, ledger, deliveries } = this.#deps
    let count = MESSAGES
    while (count === MESSAGES && !pace.isClosed) {
      count = await pace.step(async () => {
        const found = await purges.messagesOf(sessionIds, MESSAGES, throughSeq)
        // What is still there can be forgotten again after a crash; what is gone could not.
        await search.forget(found)
        const unrecorded = found.filter(({ isUnrecorded }) => isUnrecorded).map(({ id }) => id)
        if (unrecorded.length > 0) await ledger.rescue(unrecorded)
        // Where sessions go as a whole, so does what was told of them.
        if (throughSeq !== undefined) await deliveries.removeOfMessages(found.map(({ id }) => id))
        if (found.length > 0) await purges.removeMessages(found)
        return found.length
      })
    }
  }

  async #endTurn (sessionId: string): Promise<void> {
    const { messages, turns } = this.#deps
    const held = await turns.check(sessionId)
    if (held?.turn.lapsed) await turns.recover(held)
    else if (held) await messages.end(held.turn.messageId, { status: 'stopped' })
  }
}
