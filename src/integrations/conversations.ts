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

  /** Names the session for a message. It may not be there yet: it is made under this id, by whoever comes first. */
  async sessionFor (job: InboundJob): Promise<string> {
    const { conversations, stored } = this.#deps
    const { conversation: key, tenantId, integrationId, configId, said: { userId } } = job
    for (;;) {
      const current = await conversations.sessionOf(key)
      if (current !== undefined && goesOn(await stored.inspect(current), job)) return current
      const sessionId = newId()
      if (await conversations.set({ key, tenantId, integrationId, configId, userId, sessionId }, current)) return sessionId
    }
  }

  /** Makes the session, where it is not there. */
  async open (principal: Principal, sessionId: string, { configId, integrationId, said: { channel, externalUserId } }: InboundJob): Promise<void> {
    const { sessions, stored } = this.#deps
    if (await stored.inspect(sessionId)) return
    await sessions.create(principal, { configId, channel }, sessionId, { integrationId, userId: externalUserId })
  }

  /** Forgets a session that was named for nothing. */
  async forget ({ conversation }: InboundJob, sessionId: string): Promise<void> {
    await this.#deps.conversations.remove(conversation, sessionId)
  }
}
