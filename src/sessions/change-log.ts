import { type Change, type ChangeRepository } from '../store/changes.ts'
import { type Message, type MessageRepository } from '../store/messages.ts'
import { type RecordedChange, type Session, type SessionRepository, type SessionScope } from '../store/sessions.ts'

const BATCH = 100

/** Where a text is taken out of the search. */
export interface Forgetting {
  forget (messages: Array<Pick<Message, 'tenantId' | 'id' | 'content'>>): Promise<void>
}

interface Repositories {
  readonly sessions: SessionRepository
  readonly messages: MessageRepository
  readonly changes: ChangeRepository
}

/**
 * Changes to what has been said, and to sessions. A change is written into its session first, which gives it its place in
 * the order of all that happens there; then it is done; then it is archived. Whoever finds one that is left, after a crash,
 * does the rest: every step can be repeated.
 */
export class ChangeLog {
  readonly #repositories: Repositories
  readonly #search: Forgetting

  constructor (repositories: Repositories, search: Forgetting) {
    this.#repositories = repositories
    this.#search = search
  }

  /** Makes a change. Undefined: there is no such session in `scope`, or the change's `guard` says no. */
  async make (scope: SessionScope, sessionId: string, change: RecordedChange): Promise<Session | undefined> {
    const session = await this.#repositories.sessions.record(scope, sessionId, change)
    if (session) await this.#settle(session)
    return session
  }

  /** Does what processes that died have left undone. */
  async settleAll (): Promise<void> {
    for (const session of await this.#repositories.sessions.unsettled(BATCH)) await this.#settle(session)
  }

  async #settle (session: Session): Promise<void> {
    const { sessions, changes } = this.#repositories
    for (const entry of session.log) await this.#do(session, entry, entry.rev)
    await changes.archive(session, session.log)
    await sessions.settle(session.id, session.log.at(-1)!.rev)
  }

  async #do ({ id: sessionId, tenantId }: Session, change: Change, rev: number): Promise<void> {
    const { messages, changes } = this.#repositories
    if (change.type === 'message.feedback') {
      await messages.rate(change.messageId, change.data.feedback, rev)
    } else if (change.type === 'message.deleted') {
      const message = await messages.find(sessionId, change.messageId)
      // As long as there is a text, it is known what is to be taken out.
      if (message && message.content !== '') await this.#search.forget([{ tenantId, id: message.id, content: message.content }])
      await messages.erase(change.messageId)
      await changes.forget(sessionId, change.messageId)
    }
  }
}
