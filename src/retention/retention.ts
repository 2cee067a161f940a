import { Pace } from '../chat/pace.ts'
import { type Log } from '../chat/turn-runner.ts'
import { newId } from '../store/ids.ts'
import { type SilentSession } from '../store/outdated.ts'
import { type StoredRetention } from '../store/retention-settings.ts'
import { type Store } from '../store/store.ts'
import { type Ageing } from './ageing.ts'
import { type RemovalGuard } from './removal-guard.ts'

const LEASE = 'retention'
const LEASE_MS = 60_000
/** How often it looks. A process that has looked keeps the others from doing the same for as long. */
export const INTERVAL_MS = 300_000
const DAY_MS = 86_400_000
const TENANTS = 100
const SESSIONS = 100
const MESSAGES = 500
// Writes that come together cost a store little more than one.
const AT_ONCE = 10
const DELIVERIES = 500

export const kinds = ['sessions', 'messages', 'deliveryLogs'] as const

/** What is removed, by kind. */
export type Removed = Record<typeof kinds[number], number>

interface Dependencies {
  readonly store: Pick<Store, 'leases' | 'legalHolds' | 'outdated' | 'retentionSettings' | 'webhookDeliveries'>
  readonly guard: RemovalGuard
  readonly ageing: Ageing
  /** Removes what was hidden, and resolves when it is gone. */
  readonly purge: () => Promise<void>
  /** By the store's clock. */
  readonly now: () => Promise<Date>
  readonly onRemoved: (kind: keyof Removed, count: number) => void
  /** Is told when all tenants were looked at. */
  readonly onRound: () => void
  readonly log: Log & { info: (details: object, message: string) => void }
}

/** The run is another process's now, or is to end. */
class RunEnded extends Error {}

/**
 * Removes what tenants no longer keep. One process at a time does it, from the oldest on, in small steps with rests
 * between them. What is due is found anew each time, so a run may end anywhere, and the next one does the rest.
 */
export class Retention {
  readonly #deps: Dependencies
  readonly #pace = new Pace()
  readonly #name = newId()
  readonly #timer: NodeJS.Timeout
  #running: Promise<boolean> | undefined
  #heldAt = -Infinity

  constructor (deps: Dependencies) {
    this.#deps = deps
    this.#timer = setInterval(() => {
      this.run().catch((err: unknown) => { if (!this.#pace.isClosed) deps.log.warn({ err }, 'retention was cut off; it goes on') })
    }, INTERVAL_MS)
  }

  /** Removes all that is due. False: another process does, or has a moment ago, or this one has ended on the way. */
  async run (): Promise<boolean> {
    this.#running ??= this.#run().finally(() => { this.#running = undefined })
    return await this.#running
  }

  /** Ends after the step that it is at. */
  async close (): Promise<void> {
    clearInterval(this.#timer)
    this.#pace.close()
    await this.#running?.catch(() => {})
    if (this.#heldAt > -Infinity) await this.#deps.store.leases.release(LEASE, this.#name).catch(() => {})
  }

  async #run (): Promise<boolean> {
    const { store: { retentionSettings }, now, onRound } = this.#deps
    try {
      await this.#hold(LEASE_MS)
      const time = (await now()).getTime()
      let after = ''
      let tenants: StoredRetention[]
      do {
        tenants = await this.#step(async () => await retentionSettings.after(after, TENANTS))
        for (const settings of tenants) await this.#ofTenant(settings, time)
        after = tenants.at(-1)?.tenantId ?? after
      } while (tenants.length === TENANTS)
      await this.#deliveries(time)
      await this.#hold(INTERVAL_MS)
      onRound()
      return true
    } catch (error) {
      if (error instanceof RunEnded) return false
      throw error
    }
  }

  async #ofTenant ({ tenantId, sessionsDays, messagesDays }: StoredRetention, time: number): Promise<void> {
    if (sessionsDays === null && messagesDays === null) return
    if (await this.#step(async () => await this.#deps.store.legalHolds.isTenantHeld(tenantId))) return
    if (sessionsDays !== null) await this.#sessions(tenantId, new Date(time - sessionsDays * DAY_MS))
    if (messagesDays !== null) await this.#messages(tenantId, new Date(time - messagesDays * DAY_MS))
  }

  async #sessions (tenantId: string, before: Date): Promise<void> {
    const { store: { outdated, legalHolds }, guard } = this.#deps
    await this.#told(tenantId, 'sessions', async (removed) => {
      let found: SilentSession[] = []
      do {
        found = await this.#step(async () => await outdated.sessions(tenantId, before, found.at(-1), SESSIONS))
        const free = await legalHolds.free(tenantId, found)
        if (free.length === 0) continue
        removed(await this.#step(async () => await outdated.hide(await guard.claim(tenantId, free), before)))
        await this.#deps.purge()
      } while (found.length === SESSIONS)
    })
  }

  async #messages (tenantId: string, before: Date): Promise<void> {
    const { store: { outdated }, ageing } = this.#deps
    await this.#told(tenantId, 'messages', async (removed) => {
      const to = new Date(before.getTime() - 1)
      for (let from = new Date(0); from <= to;) {
        const { sessionIds, through } = await this.#step(async () => await outdated.spoken(tenantId, from, to, MESSAGES))
        let count = 0
        for (let i = 0; i < sessionIds.length; i += AT_ONCE) {
          const some = sessionIds.slice(i, i + AT_ONCE)
          const counts = await this.#step(async () => await Promise.all(some.map(async (id) => await ageing.age(tenantId, id, before))))
          count += counts.reduce((sum, one) => sum + one, 0)
        }
        removed(count)
        if (count > 0) await this.#deps.purge()
        from = new Date(through.getTime() + 1)
      }
    })
  }

  async #deliveries (time: number): Promise<void> {
    const { store: { webhookDeliveries, retentionSettings, legalHolds } } = this.#deps
    let after = ''
    for (;;) {
      const next = await this.#step(async () => await webhookDeliveries.nextTenant(after))
      if (!next) return
      const { tenantId, oldest } = next
      after = tenantId
      const { deliveryLogsDays } = await retentionSettings.find(tenantId)
      const before = new Date(time - deliveryLogsDays * DAY_MS)
      if (oldest >= before || await legalHolds.isTenantHeld(tenantId)) continue
      await this.#told(tenantId, 'deliveryLogs', async (removed) => {
        let count: number
        do {
          count = await this.#step(async () =>
            await webhookDeliveries.removeBefore(tenantId, before, await legalHolds.names(tenantId), DELIVERIES))
          removed(count)
        } while (count === DELIVERIES)
      })
    }
  }

  /** Does what removes things of a tenant, and says how many those were, also where it is cut off. */
  async #told (tenantId: string, kind: keyof Removed, work: (removed: (count: number) => void) => Promise<void>): Promise<void> {
    let total = 0
    try {
      await work((count) => {
        total += count
        this.#deps.onRemoved(kind, count)
      })
    } finally {
      if (total > 0) this.#deps.log.info({ tenantId, kind, removed: total }, 'retention removed what is no longer kept')
    }
  }

  /** Does a step of the work, and rests for as long as that took. */
  async #step<T> (work: () => Promise<T>): Promise<T> {
    if (performance.now() - this.#heldAt > LEASE_MS / 3) await this.#hold(LEASE_MS)
    if (this.#pace.isClosed) throw new RunEnded()
    return await this.#pace.step(work)
  }

  async #hold (ms: number): Promise<void> {
    const now = performance.now()
    if (this.#pace.isClosed || !await this.#deps.store.leases.hold(LEASE, this.#name, ms)) {
      this.#heldAt = -Infinity
      throw new RunEnded()
    }
    this.#heldAt = now
  }
}
