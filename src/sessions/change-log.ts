import { type Search } from '../search/search.ts'
import { type Change, type ChangeRepository } from '../store/changes.ts'
import { type MessageRepository } from '../store/messages.ts'
import { type RecordedChange, type Session, type SessionRepository, type SessionScope } from '../store/sessions.ts'
import { type UpkeepRepository } from '../store/upkeep.ts'
import { type WebhookDeliveryRepository } from '../store/webhook-deliveries.ts'
import { type SessionWatch } from './session-watch.ts'

const BATCH = 100

interface Repositories {
  readonly sessions: SessionRepository
  readonly messages: MessageRepository
  readonly changes: ChangeRepository
  readonly upkeep: UpkeepRepository
  readonly webhookDeliveries: WebhookDeliveryRepository
}

/**
 * Changes to what has been said, and to sessions. A change is written into its session first, which gives it its place in
 * the order of all that happens there; then it is archived; then it is done. Whoever finds one that is left, after a crash,
 * does the rest: every step can be repeated.
 */
export class ChangeLog {
  readonly #repositories: Repositories
  readonly #search: Search
  readonly #watch: SessionWatch

  constructor (repositories: Repositories, search: Search, watch: SessionWatch) {
    this.#repositories = repositories
    this.#search = search
    this.#watch = watch
  }

  /** Makes a change. Undefined: there is no such session in `scope`, or the change's `guard` says no. */
  async make (scope: SessionScope, sessionId: string, change: RecordedChange): Promise<Session | undefined> {
    const session = await this.#repositories.sessions.record(scope, sessionId, change)
    if (!session) return undefined
    this.#watch.ring(sessionId)
    await this.settle(session)
    return session
  }

  /** Does what processes that died have left undone. */
  async settleAll (): Promise<void> {
    for (const session of await this.#repositories.sessions.unsettled(BATCH)) await this.settle(session)
  }

  /** Does what a session's log says is still to be done. */
  async settle (session: Session): Promise<void> {
    const { sessions, changes } = this.#repositories
    // First, so that what an entry erases of those before it is not archived behind it.
    await changes.archive(session, session.log)
    for (const entry of session.log) await this.#do(session, entry, entry.rev)
    await sessions.settle(session.id, session.log.at(-1)!.rev)
  }

  async #do ({ id: sessionId, tenantId }: Session, change: Change, rev: number): Promise<void> {
    const { messages, changes, upkeep, webhookDeliveries } = this.#repositories
    if (change.type === 'message.feedback') {
      await messages.rate(change.messageId, change.data.feedback, rev)
    } else if (change.type === 'message.deleted') {
      const { messageId, data } = change
      await messages.erase(messageId)
      // Only now: whoever still finds the text finds the session as it was before this, too, and what they make is not kept.
      await upkeep.forgetMessage(sessionId, data.seq)
      await Promise.all([
        changes.forget(sessionId, messageId, data.seq),
        this.#search.forget([{ tenantId, id: messageId }]),
        webhookDeliveries.removeOfMessages([messageId])
      ])
    } else if (change.type === 'session.cleared') {
      const { throughSeq, heads } = change.data
      await upkeep.forgetThrough(sessionId, throughSeq)
      if (heads) await Promise.all([messages.detach(sessionId, heads), changes.forgetThrough(sessionId, throughSeq, rev)])
      else await changes.forgetBefore(sessionId, rev)
    }
  }
}
