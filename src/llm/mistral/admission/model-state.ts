import { LRUCache } from 'lru-cache'
import { Breaker, type BreakerLimits } from './breaker.ts'
import { type GateTerms, RateGate } from './rate-gate.ts'

/** What the calls of one model have found out about it, and share. */
export interface ModelState {
  readonly gate: RateGate
  readonly breaker: Breaker
  /** Its context window in tokens, when it has refused a prompt and said so. */
  windowTokens?: number
  /** It has refused a schema for its answer, and then written JSON without one. */
  refusesSchemas?: true
}

// Names of models come from tenants, who may make them up.
const MAX_MODELS = 1000

export interface ModelLimits {
  readonly breaker: BreakerLimits
  readonly gate: GateTerms
}

export interface ModelStateEvents {
  /** A call of some model may go that might not before. */
  opened (): void
  /** Calls of this model must wait now, or are refused. */
  closed (model: ModelState): void
}

/** The states of the models that were asked last. */
export class ModelStates {
  readonly #states = new LRUCache<string, ModelState>({ max: MAX_MODELS })
  readonly #create: () => ModelState

  constructor ({ breaker, gate }: ModelLimits, events: ModelStateEvents) {
    this.#create = () => {
      const state: ModelState = {
        gate: new RateGate(gate, { opened: () => events.opened(), paused: () => events.closed(state) }),
        breaker: new Breaker(breaker, () => events.closed(state))
      }
      return state
    }
  }

  of (name: string): ModelState {
    const known = this.#states.get(name)
    if (known !== undefined) return known
    const state = this.#create()
    this.#states.set(name, state)
    return state
  }

  /** Those that are known to be down. */
  down (): string[] {
    return [...this.#states].filter(([, { breaker }]) => breaker.isOpen).map(([name]) => name)
  }
}
