import { type LegalHold as LegalHoldView, type LegalHoldInput, type LegalHoldQuery } from '../../schemas/legal-hold.ts'
import { actorOf } from '../audit/actor.ts'
import { type Principal } from '../auth/principal.ts'
import { ApiError } from '../errors.ts'
import { type Sessions } from '../sessions/sessions.ts'
import { newId } from '../store/ids.ts'
import { type LegalHold, type LegalHoldRepository } from '../store/legal-holds.ts'
import { type PageOf } from '../store/page.ts'
import { type RemovalClaimRepository } from '../store/removal-claims.ts'

const MAX_ACTIVE = 1000

interface Dependencies {
  readonly legalHolds: LegalHoldRepository
  readonly removalClaims: RemovalClaimRepository
  readonly sessions: Sessions
}

const missing = (id: string) => new ApiError('not_found', { detail: `There is no legal hold ${id}.` })

function present ({ tenantId: _, createdAt, liftedAt, ...rest }: LegalHold): LegalHoldView {
  return { ...rest, createdAt: createdAt.toISOString(), liftedAt: liftedAt?.toISOString() ?? null }
}

/** What a hold names has to be what its scope says, and nothing else. */
function requireNames ({ scope, userId, sessionId }: LegalHoldInput): void {
  const names = { userId: [userId, 'user'], sessionId: [sessionId, 'session'] } as const
  const errors = Object.entries(names).flatMap(([name, [value, wanted]]) => {
    if ((value !== undefined) === (scope === wanted)) return []
    return [{ path: `/${name}`, message: `must ${value === undefined ? 'be there' : 'not be there'} with the scope ${scope}` }]
  })
  if (errors.length > 0) throw new ApiError('validation_failed', { detail: 'The hold does not name what its scope says.', members: { errors } })
}

/** Orders to keep conversations. What holds do is in `RemovalGuard`, and in what asks it. */
export class LegalHolds {
  readonly #deps: Dependencies

  constructor (deps: Dependencies) {
    this.#deps = deps
  }

  /** When this is answered, what the hold is about is there and stays. `id`: where an earlier attempt has set it, it is returned. */
  async create (principal: Principal, input: LegalHoldInput, id = newId()): Promise<LegalHoldView> {
    const { legalHolds, removalClaims, sessions } = this.#deps
    const { tenantId } = principal
    requireNames(input)
    const { scope, userId = null, sessionId = null, reason } = input
    const session = sessionId === null ? undefined : await sessions.require({ tenantId }, sessionId)
    if (await legalHolds.countActive(tenantId, MAX_ACTIVE) >= MAX_ACTIVE) {
      throw new ApiError('conflict', { detail: `A tenant has at most ${MAX_ACTIVE} holds that are not lifted.` })
    }
    const hold: LegalHold = {
      id, tenantId, scope, userId, sessionId, reason, status: 'active', createdAt: new Date(), createdBy: actorOf(principal), liftedAt: null, liftedBy: null
    }
    await legalHolds.insert(hold, session)
    await removalClaims.contest(tenantId)
    try {
      // Somebody may have removed it before there was the hold.
      if (sessionId !== null) await sessions.require({ tenantId }, sessionId)
    } catch (error) {
      await legalHolds.remove(tenantId, id)
      throw error
    }
    return await this.get(tenantId, id)
  }

  async get (tenantId: string, id: string): Promise<LegalHoldView> {
    const hold = await this.#deps.legalHolds.find(tenantId, id)
    if (!hold) throw missing(id)
    return present(hold)
  }

  /** Newest first, those that were lifted included. */
  async list (tenantId: string, { status, ...request }: LegalHoldQuery): Promise<PageOf<LegalHoldView>> {
    const { data, nextCursor } = await this.#deps.legalHolds.page(tenantId, status, request)
    return { data: data.map(present), nextCursor }
  }

  /** What was kept because of it may be removed again. One that is lifted stays so. */
  async lift (principal: Principal, id: string): Promise<void> {
    const { tenantId } = principal
    if (!await this.#deps.legalHolds.lift(tenantId, id, actorOf(principal))) await this.get(tenantId, id)
  }
}
