import { ApiError } from '../../../errors.ts'
import { type Verdict } from './breaker.ts'
import { type ModelLimits, type ModelState, ModelStates } from './model-state.ts'
import { type Budget } from './rate-gate.ts'
import { WaitingLine } from './waiting-line.ts'

/** Who asks for what, and until when an answer is of use. */
export interface Entry {
  readonly tenantId: string
  readonly model: ModelState
  /** Its abort ends the wait with its reason. */
  readonly signal: AbortSignal
  /** On the clock of `performance.now()`. The caller keeps it; here it only tells whether a wait can be worth it. */
  readonly deadline: number
  /** Milliseconds until it may go. */
  readonly delayMs: number
  /** From 1. Later ones go before first ones, and are not turned away so soon. */
  readonly attempt: number
}

/** Leave to make one call. All of its owner's reports are optional, but for `end` and `release`, which come once each. */
export interface Permit {
  /** The limiter has let the call through. */
  passed (budget: Budget): void
  /** The limiter has refused the call, and may have asked to wait so many milliseconds. */
  refused (hintMs: number | undefined): void
  end (verdict: Verdict): void
  /** The call holds no connection any more. */
  release (): void
}

/** How much there is to do for the models. */
export interface ModelLoad {
  readonly running: number
  readonly waiting: number
  /** Models that are known to be down, so that they are not asked. */
  readonly down: readonly string[]
}

interface Waiter extends Entry, PromiseWithResolvers<Permit> {
  /** Since when it may go, on the clock of `performance.now()`. */
  readonly since: number
  /** Undefined: it may go as soon as there is room. */
  timer: NodeJS.Timeout | undefined
  readonly stopListening: () => void
}

const MAX_WAITING = 1024
// Those who wait for another attempt have been let in before; still their number must have a bound.
const MAX_WAITING_AGAIN = 2 * MAX_WAITING
const RETRY_WHEN_FULL_SECONDS = '1'

/**
 * Decides when a call may go out: when one of `slots` is free, its model's limiter lets it, and its model is not known
 * to be down. Tenants take turns, and a model that must wait holds up nobody who asks for another.
 */
export class Admission {
  readonly #line = new WaitingLine<Waiter>()
  readonly #models: ModelStates
  readonly #slots: number
  readonly #onAdmitted: (waitedMs: number) => void
  #free: number

  /** `onAdmitted` is told how long a call has waited for its leave, besides the pause before another attempt. */
  constructor (slots: number, limits: ModelLimits, onAdmitted: (waitedMs: number) => void = () => {}) {
    this.#slots = this.#free = slots
    this.#onAdmitted = onAdmitted
    this.#models = new ModelStates(limits, {
      opened: () => this.#serve(),
      closed: (model) => this.#refuse(model)
    })
  }

  /** What is known about a model. */
  modelState (name: string): ModelState {
    return this.#models.of(name)
  }

  get load (): ModelLoad {
    return { running: this.#slots - this.#free, waiting: this.#line.size, down: this.#models.down() }
  }

  /**
   * Waits for leave to make a call. Throws `overloaded` when too many wait, `upstream_unavailable` when the model is
   * known to be down, `upstream_rate_limited` when its limiter lets nobody through before the deadline.
   */
  async enter (entry: Entry): Promise<Permit> {
    const { model, signal, delayMs, attempt } = entry
    signal.throwIfAborted()
    const refusal = refusalOf(entry)
    if (refusal !== undefined) throw refusal
    if (delayMs === 0 && this.#free > 0 && model.gate.isOpen()) return this.#admit(model, 0)
    if (this.#line.size >= (attempt === 1 ? MAX_WAITING : MAX_WAITING_AGAIN)) this.#makeRoom(entry)
    return await this.#wait(entry)
  }

  /** The tenant with the most waiters gives up its last one, or the newcomer is turned away. */
  #makeRoom ({ tenantId }: Entry): void {
    const surplus = this.#line.surplus(tenantId)
    if (surplus === undefined) throw tooManyWaiting()
    this.#turnAway(surplus, tooManyWaiting())
  }

  async #wait (entry: Entry): Promise<Permit> {
    const leave = (): void => this.#turnAway(waiter, entry.signal.reason)
    const ready = (): void => {
      waiter.timer = undefined
      this.#serve()
    }
    const waiter: Waiter = {
      ...entry,
      ...Promise.withResolvers<Permit>(),
      since: performance.now() + entry.delayMs,
      timer: entry.delayMs > 0 ? setTimeout(ready, entry.delayMs) : undefined,
      stopListening: () => entry.signal.removeEventListener('abort', leave)
    }
    entry.signal.addEventListener('abort', leave)
    this.#line.add(waiter)
    return await waiter.promise
  }

  /** Lets go who may go. To be called whenever that may have become possible. */
  #serve (): void {
    // Many may wait for the same model, which is asked once.
    const closed = new Set<ModelState>()
    const mayGo = ({ timer, model }: Waiter): boolean => {
      if (timer !== undefined || closed.has(model)) return false
      if (model.gate.isOpen()) return true
      closed.add(model)
      return false
    }
    while (this.#free > 0 && this.#line.size > 0) {
      const waiter = this.#line.take(mayGo)
      if (waiter === undefined) return
      this.#dismiss(waiter)
      // A model that is tried again lets one call go, and then those behind it are refused.
      const refusal = refusalOf(waiter)
      if (refusal !== undefined) waiter.reject(refusal)
      else waiter.resolve(this.#admit(waiter.model, performance.now() - waiter.since))
    }
  }

  #admit (model: ModelState, waitedMs: number): Permit {
    this.#free--
    this.#onAdmitted(waitedMs)
    model.gate.enter()
    return {
      passed: (budget) => model.gate.passed(budget),
      refused: (hintMs) => model.gate.refused(hintMs),
      end: model.breaker.begin(),
      release: () => {
        this.#free++
        model.gate.leave()
        this.#serve()
      }
    }
  }

  /** Lets those know at once who would wait for nothing. */
  #refuse (model: ModelState): void {
    for (const waiter of this.#line.filter((candidate) => candidate.model === model)) {
      const refusal = refusalOf(waiter)
      if (refusal !== undefined) this.#turnAway(waiter, refusal)
    }
  }

  #turnAway (waiter: Waiter, reason: unknown): void {
    this.#line.delete(waiter)
    this.#dismiss(waiter)
    waiter.reject(reason)
  }

  #dismiss ({ timer, stopListening }: Waiter): void {
    clearTimeout(timer)
    stopListening()
  }
}

/** Why it is no use to wait for this model; nothing when it is. */
function refusalOf ({ model: { breaker, gate }, deadline }: Entry): ApiError | undefined {
  if (gate.pausedUntil >= deadline) return rateLimited(gate.pausedUntil)
  return breaker.refusal()
}

function rateLimited (until: number): ApiError {
  return new ApiError('upstream_rate_limited', {
    detail: 'The model takes no more requests for now.',
    headers: { 'retry-after': String(Math.max(1, Math.ceil((until - performance.now()) / 1000))) }
  })
}

function tooManyWaiting (): ApiError {
  return new ApiError('overloaded', {
    detail: 'Too many calls of the model are waiting.', headers: { 'retry-after': RETRY_WHEN_FULL_SECONDS }
  })
}
