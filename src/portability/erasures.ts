import { type Erasure as ErasureView } from '../../schemas/erasure.ts'
import { type Principal } from '../auth/principal.ts'
import { type SessionRemoval } from '../chat/session-removal.ts'
import { type Log } from '../chat/turn-runner.ts'
import { ApiError } from '../errors.ts'
import { type RemovalGuard } from '../retention/removal-guard.ts'
import { type Erasure, type Person } from '../store/erasures.ts'
import { type PageOf, type PageRequest } from '../store/page.ts'
import { type Store } from '../store/store.ts'
import { subjectOf } from './subject.ts'

const BATCH = 100
const INTERVAL_MS = 60_000
const OTHERS_CHECK_MS = 200

interface Dependencies {
  readonly store: Pick<Store, 'erasures' | 'purges' | 'idempotency' | 'usagePeople' | 'inbound' | 'conversations' | 'webhookDeliveries' | 'legalHolds'>
  readonly removal: SessionRemoval
  readonly guard: RemovalGuard
  readonly log: Log
}

function present ({ id, status, subject, removed, requestedAt, completedAt }: Erasure): ErasureView {
  return {
    id,
    status,
    subject,
    removed: { ...removed },
    requestedAt: requestedAt.toISOString(),
    completedAt: completedAt?.toISOString() ?? null
  }
}

/** The person of an erasure that runs. */
const personOf = ({ tenantId, userId }: Erasure): Person => ({ tenantId, userId: userId! })

/**
 * Erases what is kept of people. All of it is hidden before the request is answered; the rest goes on in the
 * background, on any replica, also on several at once: each step is written into the erasure under the condition that
 * nobody else was faster, and what is removed is counted before it goes.
 */
export class Erasures {
  readonly #deps: Dependencies
  readonly #timer: NodeJS.Timeout
  #running: Promise<void> | undefined
  #again = false

  constructor (deps: Dependencies) {
    this.#deps = deps
    this.#timer = setInterval(() => { this.#inBackground(this.resume()) }, INTERVAL_MS)
    this.#inBackground(this.resume())
  }

  /** Hides all that is kept of a user and begins to remove it. Of who has nothing, the erasure is completed at once. Throws `legal_hold`. */
  async erase ({ tenantId }: Principal, userId: string): Promise<ErasureView> {
    const { erasures } = this.#deps.store
    const person = { tenantId, userId }
    await this.#deps.guard.requireErasable(person)
    const erasure = await erasures.begin(person, subjectOf(person), new Date())
    const isHidden = await this.#hide(person)
    if (isHidden) await this.#forget(erasure.subject, person)
    if (!isHidden || erasure.batch || await erasures.anyGoing(person)) {
      this.#inBackground(this.resume())
      return present(erasure)
    }
    return present(await this.#complete(erasure) ?? await this.#require(tenantId, erasure.id))
  }

  async get ({ tenantId }: Principal, id: string): Promise<ErasureView> {
    return present(await this.#require(tenantId, id))
  }

  /** Newest first. */
  async list ({ tenantId }: Principal, request: PageRequest): Promise<PageOf<ErasureView>> {
    const { data, nextCursor } = await this.#deps.store.erasures.page(tenantId, request)
    return { data: data.map(present), nextCursor }
  }

  /** Goes on with all erasures that run; resolves when they are completed. A call meanwhile makes it look again. */
  async resume (): Promise<void> {
    this.#again = true
    this.#running ??= this.#loop().finally(() => { this.#running = undefined })
    await this.#running
  }

  /** Ends after the step it is at. */
  async close (): Promise<void> {
    clearInterval(this.#timer)
    this.#deps.removal.pace.close()
    await this.#running?.catch(() => {})
  }

  async #loop (): Promise<void> {
    const { store: { erasures }, removal: { pace } } = this.#deps
    while (this.#again && !pace.isClosed) {
      this.#again = false
      let running: Erasure[] = []
      do {
        running = await erasures.running(BATCH, running.at(-1)?.id)
        for (const erasure of running) await this.#finish(erasure)
      } while (running.length === BATCH && !pace.isClosed)
      await this.#sweep()
    }
  }

  /** Goes on with one erasure until it is completed. */
  async #finish (erasure: Erasure): Promise<void> {
    const { store: { erasures }, removal: { pace }, guard } = this.#deps
    let current: Erasure | undefined = erasure
    while (current?.status === 'running' && !pace.isClosed) {
      // It was asked for before the hold came, and goes on when that is lifted.
      if (await guard.isHeld(personOf(current))) return
      current = await this.#step(current) ?? await erasures.find(erasure.tenantId, erasure.id)
    }
  }

  /** Undefined: it has to be looked at again. */
  async #step (erasure: Erasure): Promise<Erasure | undefined> {
    const { store: { erasures, purges }, removal } = this.#deps
    const { batch, removed } = erasure
    if (batch) {
      await removal.remove(batch.sessionIds)
      if (removal.pace.isClosed) return undefined
      return await erasures.advance(erasure, {
        batch: null,
        removed: { sessions: removed.sessions + batch.sessionIds.length, messages: removed.messages + batch.messages }
      })
    }
    const person = personOf(erasure)
    if (!await this.#hide(person)) return undefined
    const hidden = await erasures.hiddenOf(person, BATCH)
    const sessionIds = hidden.length > 0 ? await removal.quiet(hidden) : []
    if (sessionIds.length > 0) {
      const messages = await purges.countMessages(sessionIds)
      return await erasures.advance(erasure, { batch: { sessionIds, messages } })
    }
    if (!await erasures.anyGoing(person)) return await this.#complete(erasure)
    // What was deleted before is removed by somebody else.
    if (hidden.length === 0) await removal.pace.rest(OTHERS_CHECK_MS)
    return undefined
  }

  /** False: there is a hold. */
  async #hide (person: Person): Promise<boolean> {
    const { store: { erasures }, removal, guard } = this.#deps
    for (;;) {
      const found = await erasures.presentOf(person, BATCH)
      if (found.length === 0) return true
      const claim = await guard.claim(person.tenantId, found)
      if (claim.ids.length === 0) return false
      await erasures.hide(claim)
      await removal.callOff(claim.ids)
    }
  }

  /** What is kept of a person apart from their sessions. */
  async #forget (subject: string, person: Person): Promise<void> {
    const { idempotency, usagePeople, inbound, conversations, webhookDeliveries, legalHolds } = this.#deps.store
    await Promise.all([
      idempotency.erase(subject),
      usagePeople.forget(person),
      inbound.erase(person),
      conversations.erase(person),
      webhookDeliveries.removeOfUser(person),
      legalHolds.forget(person)
    ])
  }

  async #complete (erasure: Erasure): Promise<Erasure | undefined> {
    await this.#forget(erasure.subject, personOf(erasure))
    return await this.#deps.store.erasures.advance(erasure, { status: 'completed', completedAt: new Date(), userId: null })
  }

  /** What a process hid that died just when another completed the erasure is nobody's: it goes as if deleted. */
  async #sweep (): Promise<void> {
    const { erasures } = this.#deps.store
    for (;;) {
      const person = await erasures.someone()
      if (!person || await erasures.isRunning(subjectOf(person))) return
      await erasures.disown(person)
    }
  }

  async #require (tenantId: string, id: string): Promise<Erasure> {
    const erasure = await this.#deps.store.erasures.find(tenantId, id)
    if (!erasure) throw new ApiError('not_found', { detail: `There is no erasure ${id}.` })
    return erasure
  }

  #inBackground (work: Promise<void>): void {
    work.catch((error: unknown) => {
      if (!this.#deps.removal.pace.isClosed) this.#deps.log.warn({ err: error }, 'an erasure was cut off; it goes on')
    })
  }
}
