import { type Cadence } from '../http/cadence.ts'
import { checkScript, faultsOf, isAtAccept } from './check.ts'
import { type Dice } from './dice.ts'
import { type Fault, type ScriptEntry } from './schema.ts'

/** A request as far as the script looks at it. */
export interface Target {
  path: string
  rawBody: string
  model: string | undefined
}

/** What the script has for one request. */
export interface Scripted {
  fault?: Fault
  cadence?: Partial<Cadence>
}

interface Pending {
  entry: ScriptEntry
  left: number
  seen: number
}

/** The script: first in, first out. */
export class FaultScript {
  readonly #dice: Dice
  #pending: Pending[] = []

  constructor (dice: Dice) {
    this.#dice = dice
  }

  /** Adds entries. Throws a 400 when they are no script. */
  add (entries: unknown): void {
    const pending = checkScript(entries).map((entry) => ({
      entry, left: entry.times === 'always' ? Infinity : entry.times ?? 1, seen: 0
    }))
    this.#pending.push(...pending)
  }

  /** Forgets all entries. */
  clear (): void {
    this.#pending = []
    this.#dice.restart()
  }

  /** What the first entry for this request says; nothing: no entry is for it. */
  forRequest (target: Target): Scripted {
    const entry = this.#use((pending) => !isForConnections(pending.entry) && matches(pending, target))
    if (entry === undefined) return {}
    const faults = faultsOf(entry)
    const fault = faults.length > 1 ? faults[Math.floor(this.#dice.roll() * faults.length)] : faults[0]
    return { ...(fault && { fault }), ...(entry.cadence && { cadence: entry.cadence }) }
  }

  /** The fault of a new connection, which has sent nothing yet. */
  forConnection (): Fault | undefined {
    const entry = this.#use((pending) => isForConnections(pending.entry))
    return entry && faultsOf(entry)[0]
  }

  #use (isFor: (pending: Pending) => boolean): ScriptEntry | undefined {
    const found = this.#pending.find((pending) => isFor(pending) && this.#decides(pending.entry))
    if (found !== undefined && --found.left <= 0) this.#pending = this.#pending.filter((other) => other !== found)
    return found?.entry
  }

  #decides ({ probability }: ScriptEntry): boolean {
    return probability === undefined || this.#dice.roll() < probability
  }
}

const isForConnections = (entry: ScriptEntry): boolean => faultsOf(entry).some(isAtAccept)

function matches (pending: Pending, { path, rawBody, model }: Target): boolean {
  const { route, model: wanted, textIncludes, nth } = pending.entry.match ?? {}
  if (route !== undefined && route !== path) return false
  if (wanted !== undefined && wanted !== model) return false
  if (textIncludes !== undefined && !rawBody.includes(textIncludes)) return false
  pending.seen++
  return nth === undefined || nth === pending.seen
}
