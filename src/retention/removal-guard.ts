import { randomUUID } from 'node:crypto'
import { ApiError } from '../errors.ts'
import { type Person } from '../store/erasures.ts'
import { type HoldableSession, type LegalHoldRepository } from '../store/legal-holds.ts'
import { type Claim, type RemovalClaimRepository } from '../store/removal-claims.ts'
import { type SessionRepository } from '../store/sessions.ts'

const held = (detail: string) => new ApiError('legal_hold', { detail })

interface Dependencies {
  readonly legalHolds: LegalHoldRepository
  readonly removalClaims: RemovalClaimRepository
  readonly sessions: SessionRepository
}

/**
 * Whoever removes something claims it first, then looks for holds, and then removes it under the condition that the claim
 * still stands. A hold is written first and then takes away all claims, before it is answered. So of the two, one sees
 * the other: what is removed was removed before the hold was answered.
 */
export class RemovalGuard {
  readonly #deps: Dependencies

  constructor (deps: Dependencies) {
    this.#deps = deps
  }

  /** Claims those of some sessions of a tenant that nobody holds. */
  async claim (tenantId: string, sessions: readonly HoldableSession[]): Promise<Claim> {
    const { legalHolds, removalClaims } = this.#deps
    const claim = { tenantId, ids: sessions.map(({ id }) => id), leaving: randomUUID() }
    await removalClaims.claimSessions(claim)
    const free = new Set((await legalHolds.free(tenantId, sessions)).map(({ id }) => id))
    const ids = claim.ids.filter((id) => !free.has(id))
    if (ids.length > 0) await removalClaims.withdrawSessions({ ...claim, ids })
    return { ...claim, ids: [...free] }
  }

  /** Claims a session. Throws `legal_hold`. */
  async claimSession (session: HoldableSession): Promise<string> {
    const { legalHolds, removalClaims } = this.#deps
    const { id, tenantId } = session
    const leaving = await removalClaims.claimSession(tenantId, id, randomUUID())
    if ((await legalHolds.free(tenantId, [session])).length > 0) return leaving
    await removalClaims.withdrawSessions({ tenantId, ids: [id], leaving })
    throw held(`A legal hold keeps the session ${id} with all that was said in it.`)
  }

  /** Claims a chatbot, which takes its sessions with it. Throws `legal_hold`. */
  async claimChatbot (tenantId: string, id: string): Promise<string> {
    const { removalClaims } = this.#deps
    const leaving = await removalClaims.claimChatbot(tenantId, id, randomUUID())
    if (!await this.isChatbotHeld(tenantId, id)) return leaving
    await removalClaims.withdrawChatbot(tenantId, id, leaving)
    throw held(`A legal hold keeps sessions of the configuration ${id}.`)
  }

  /** Whether any session with a chatbot must stay. */
  async isChatbotHeld (tenantId: string, id: string): Promise<boolean> {
    const { legalHolds, sessions } = this.#deps
    return await legalHolds.isChatbotHeld(tenantId, id) || await sessions.anyWith(tenantId, id, await legalHolds.users(tenantId))
  }

  /** Throws `legal_hold` where anything of a person must stay. */
  async requireErasable (person: Person): Promise<void> {
    if (await this.isHeld(person)) throw held('A legal hold keeps what is kept of this user.')
  }

  async isHeld (person: Person): Promise<boolean> {
    return await this.#deps.legalHolds.isPersonHeld(person)
  }
}
