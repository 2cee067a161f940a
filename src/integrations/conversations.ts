import { type Principal } from '../auth/principal.ts'
import { type Sessions } from '../sessions/sessions.ts'
import { type ConversationRepository } from '../store/conversations.ts'
import { newId } from '../store/ids.ts'
import { type InboundJob } from '../store/inbound-messages.ts'
import { type Session, type SessionRepository } from '../store/sessions.ts'

interface Dependencies {
  readonly conversations: ConversationRepository
  readonly sessions: Sessions
  readonly stored: Pick<SessionRepository, 'inspect'>
}

interface NamedSession {
  readonly sessionId: string
  readonly isThere: boolean
}

/** Whether a session takes another message of the same user. One that was never made is still to be. */
function goesOn (session: Session | undefined, { configId, said: { sessionIdleMinutes } }: InboundJob): boolean {
  if (!session) return true
  return session.status === 'active' && session.configId === configId &&
    Date.now() - session.lastActivity.getTime() < sessionIdleMinutes * 60_000
}

/** Finds the session that goes on with a user of an external channel, or begins another one. */
export class Conversations {
  readonly #deps: Dependencies

  constructor (deps: Dependencies) {
    this.#deps = deps
  }

  /** Names the session for a message, and tells whether it is there: if not, it is made under this id, by whoever comes first. */
  async sessionFor (job: InboundJob): Promise<NamedSession> {
    const { conversations, stored } = this.#deps
    const { conversation: key, tenantId, integrationId, configId, said: { userId } } = job
    for (;;) {
      const current = await conversations.sessionOf(key)
      const session = current === undefined ? undefined : await stored.inspect(current)
      if (current !== undefined && goesOn(session, job)) return { sessionId: current, isThere: session !== undefined }
      const sessionId = newId()
      if (await conversations.set({ key, tenantId, integrationId, configId, userId, sessionId }, current)) return { sessionId, isThere: false }
    }
  }

  /** The session that a message was bound to before. */
  async bound (sessionId: string): Promise<NamedSession> {
    return { sessionId, isThere: await this.#deps.stored.inspect(sessionId) !== undefined }
  }

  /** Makes the session; where somebody else was faster, it is theirs. */
  async open (principal: Principal, sessionId: string, { configId, integrationId, said: { channel, externalUserId } }: InboundJob): Promise<void> {
    await this.#deps.sessions.create(principal, { configId, channel }, sessionId, { integrationId, userId: externalUserId })
  }

  /** Forgets a session that was named for nothing. */
  async forget ({ conversation }: InboundJob, sessionId: string): Promise<void> {
    await this.#deps.conversations.remove(conversation, sessionId)
  }
}
