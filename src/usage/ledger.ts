import { type Log } from '../chat/turn-runner.ts'
import { type Message, type Unrecorded } from '../store/message.ts'
import { type MessageRepository } from '../store/messages.ts'
import { type QuotaCounterRepository } from '../store/quota-counters.ts'
import { type Purpose, type Spent, type UsageEvent, type UsageEventRepository } from '../store/usage-events.ts'
import { type Payer, type Pseudonyms } from './payers.ts'
import { subjectsOf } from './quotas.ts'
import { tokensOf } from './spent.ts'

// What is recorded behind the turns waits so long for more, so that many turns share the commands.
const GATHER_MS = 1000
const BATCH = 200
const SWEEP_MS = 10_000
// Who wrote a reply records it well before.
const ORPHANED_MS = 10_000
// Beyond, the oldest are left to the sweep, which reads them from the store.
const MAX_WAITING = 10_000

/** What was used for something that is over. */
export interface Spending extends Payer {
  /** The reply, or whatever else it was used for. */
  readonly id: string
  readonly at: Date
  readonly configId: string | null
  readonly purpose: Purpose
  /** Who has a reservation for it. */
  readonly subjects: readonly string[]
  readonly attempts: readonly Spent[]
  /** Of a reply: until its event is on its way, not all is done that follows from its end. Absent: somebody else sees to that. */
  readonly told?: Promise<void>
}

interface Dependencies {
  readonly messages: MessageRepository
  readonly events: UsageEventRepository
  readonly counters: QuotaCounterRepository
  readonly pseudonyms: Pseudonyms
  /** Sends the event of a reply on its way. */
  readonly tell: (reply: Message) => Promise<void>
  readonly log: Log
}

const nothing = Promise.resolve()

function spendingOf (message: Message, unrecorded: Unrecorded, told: Promise<void>): Spending {
  const { id, tenantId, configId, userId, timestamp, endedAt = timestamp } = message
  // Whoever records it looks at what became of it; that may be later.
  told.catch(() => {})
  return { id, tenantId, configId, userId, at: endedAt, purpose: 'reply', ...unrecorded, told }
}

/**
 * Writes what models have used into the ledger, and settles what was reserved for it. All of it can be repeated: an
 * event has the name of its attempt, a reservation is there once, and what fits neither has its counter summed up anew.
 */
export class UsageLedger {
  readonly #deps: Dependencies
  readonly #sweeper: NodeJS.Timeout
  #waiting: Spending[] = []
  #timer: NodeJS.Timeout | undefined
  #running: Promise<void> = Promise.resolve()
  /** What begins when that is over. */
  #next: Promise<void> | undefined
  #closed = false

  constructor (deps: Dependencies) {
    this.#deps = deps
    this.#sweeper = setInterval(() => { this.#inBackground(this.sweep()) }, SWEEP_MS)
    this.#inBackground(this.sweep(new Date()))
  }

  /** Has a spending recorded soon; at once where somebody waits for what is left of a reservation. */
  add (spending: Spending): void {
    if (spending.attempts.length === 0 && spending.subjects.length === 0 && !spending.told) return
    this.#waiting.push(spending)
    if (this.#waiting.length > MAX_WAITING) this.#waiting.shift()
    const isUrgent = spending.subjects.length > 0 || this.#waiting.length >= BATCH
    if (isUrgent) this.#inBackground(this.flush())
    else if (!this.#closed) this.#timer ??= setTimeout(() => { this.#inBackground(this.flush()) }, GATHER_MS)
  }

  /** Does what follows from the end of a reply: sends its event on its way at once, where it is told, and records soon what it took. */
  end (reply: Message, unrecorded: Unrecorded, isTold: boolean): void {
    this.add(spendingOf(reply, unrecorded, isTold ? this.#deps.tell(reply) : nothing))
  }

  /** Records all that waits. */
  async flush (): Promise<void> {
    clearTimeout(this.#timer)
    this.#timer = undefined
    this.#next ??= this.#running.then(async () => {
      this.#next = undefined
      await this.#recordWaiting()
    })
    const flushed = this.#next
    this.#running = flushed.catch(() => {})
    await flushed
  }

  /** Records replies that ended before some moment and were left behind by processes that have died. */
  async sweep (before = new Date(Date.now() - ORPHANED_MS)): Promise<void> {
    let done: number
    do {
      const found = await this.#deps.messages.unrecorded(before, BATCH)
      done = await this.#record(found.map((message) => spendingOf(message, message.unrecorded, this.#deps.tell(message))))
    } while (done === BATCH && !this.#closed)
  }

  /** Records those of some messages that are not recorded yet: they are about to be removed, and their events with them. */
  async rescue (ids: readonly string[]): Promise<void> {
    const found = await this.#deps.messages.unrecordedOf(ids)
    await this.#record(found.map((message) => spendingOf(message, message.unrecorded, nothing)))
  }

  /** Records what waits and no more than that. */
  async close (): Promise<void> {
    this.#closed = true
    clearInterval(this.#sweeper)
    await this.flush().catch((error: unknown) => this.#failed(error))
  }

  /** What comes meanwhile waits for more. */
  async #recordWaiting (): Promise<void> {
    for (let left = this.#waiting.length; left > 0; left -= BATCH) {
      const batch = this.#waiting.splice(0, Math.min(BATCH, left))
      try {
        await this.#record(batch)
      } catch (error) {
        this.#waiting.unshift(...batch)
        if (!this.#closed) this.#timer ??= setTimeout(() => { this.#inBackground(this.flush()) }, GATHER_MS)
        throw error
      }
    }
  }

  /** Answers of how many replies all is done. */
  async #record (spendings: readonly Spending[]): Promise<number> {
    if (spendings.length === 0) return 0
    const { events, counters, messages, pseudonyms } = this.#deps
    const users = await Promise.all(spendings.map(async (spending) => await pseudonyms.of(spending)))
    await events.add(spendings.flatMap((spending, i) => eventsOf(spending, users[i]!)))
    const isSettled = await counters.settle(spendings.flatMap(({ id, at, purpose, subjects, attempts }) => subjects.map((subject) => (
      { subject, id, at, tokens: tokensOf(attempts), messages: purpose === 'reply' && attempts.length > 0 ? 1 : 0 }
    ))))
    const unsettled = spendings.flatMap((spending, i) => {
      const { subjects, attempts } = spending
      const all = attempts.length === 0 ? [] : subjectsOf(spending, users[i]!)
      return isSettled ? all.filter((subject) => !subjects.includes(subject)) : all
    })
    await counters.distrust([...new Set(unsettled)])
    const told = await Promise.allSettled(spendings.map(async ({ told }) => await told))
    const done = spendings.filter((spending, i) => spending.told && told[i]!.status === 'fulfilled')
    if (done.length > 0) await messages.settleRecorded(done.map(({ id }) => id))
    return done.length
  }

  #inBackground (work: Promise<void>): void {
    work.catch((error: unknown) => {
      if (!this.#closed) this.#failed(error)
    })
  }

  #failed (error: unknown): void {
    this.#deps.log.warn({ err: error }, 'usage could not be recorded; it is tried again')
  }
}

function eventsOf ({ id, tenantId, at, configId, keyId, purpose, attempts }: Spending, user: string | null): UsageEvent[] {
  return attempts.map((spent, i) => ({ source: id, attempt: i + 1, tenantId, at, configId, user, keyId, purpose, ...spent }))
}
