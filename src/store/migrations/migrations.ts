import { randomUUID } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { type Collection, type Db } from 'mongodb'
import { version } from '../../version.ts'
import { insertNew } from '../insert-new.ts'
import { LeaseRepository } from '../leases.ts'
import { type Step } from './step.ts'
import { steps, unknownSteps } from './steps.ts'

const LEASE = 'migrations'
const [LEASE_MS, POLL_MS, WAIT_MS] = [8000, 500, 600_000]

interface MigrationDocument {
  _id: string
  doneAt: Date
  /** These two are not known of what earlier versions did. */
  byVersion?: string
  ms?: number
}

/** What is known of a step; `doneAt` is absent where it is to be done. */
export interface StepStatus {
  readonly id: string
  readonly doneAt?: Date
  readonly byVersion?: string
  readonly ms?: number
}

export interface MigrationOptions {
  /** Told what happens, in one line each. */
  readonly tell?: (line: string) => void
  /** How long others wait after the process that migrates has died, at most. */
  readonly leaseMs?: number
  /** How often those who wait look. */
  readonly pollMs?: number
  /** How long they wait. */
  readonly waitMs?: number
}

/** The collection `migrations`: the steps that were done to this database. */
export class Migrations {
  readonly #db: Db
  readonly #records: Collection<MigrationDocument>
  readonly #leases: LeaseRepository
  readonly #holder = randomUUID()

  constructor (db: Db) {
    this.#db = db
    this.#records = db.collection('migrations')
    this.#leases = new LeaseRepository(db)
  }

  /** All steps, in order. Throws where a newer version has been at the data, so nothing else may come first. */
  async status (): Promise<StepStatus[]> {
    const records = await this.#records.find().toArray()
    const unknown = unknownSteps(records.map(({ _id }) => _id))
    if (unknown.length > 0) {
      throw new Error(`the data was made by a newer version of Parley (unknown: ${unknown.join(', ')}). Start that version, or restore a backup.`)
    }
    return steps.map(({ id }) => {
      const record = records.find(({ _id }) => _id === id)
      return { id, ...(record && { doneAt: record.doneAt, byVersion: record.byVersion, ms: record.ms }) }
    })
  }

  /** What is to be done, in order. */
  async pending (): Promise<Step[]> {
    const status = await this.status()
    return steps.filter((_, i) => !status[i]!.doneAt)
  }

  /** How many documents a step would change where it is. */
  async count ({ collection, outdated }: Step): Promise<number> {
    return await this.#db.collection(collection).countDocuments(outdated)
  }

  /** Does what is to be done. One process at a time does; the others wait, and go on where it was killed. */
  async run ({ tell = () => {}, leaseMs = LEASE_MS, pollMs = POLL_MS, waitMs = WAIT_MS }: MigrationOptions = {}): Promise<void> {
    const hold = async () => await this.#leases.hold(LEASE, this.#holder, leaseMs)
    const begin = performance.now()
    for (let hasWaited = false; !await hold(); hasWaited = true) {
      if (!hasWaited) tell('another process brings the data up to date; waiting for it')
      if (performance.now() - begin > waitMs) throw new Error(`another process has been bringing the data up to date for more than ${waitMs} ms`)
      await delay(pollMs)
    }
    // Two that do the same are no harm, so a renewal that fails does not stop the work; where the store is away, that fails itself.
    const renewal = setInterval(() => { hold().catch(() => {}) }, leaseMs / 3)
    try {
      for (const step of await this.pending()) await this.#do(step, tell)
    } finally {
      clearInterval(renewal)
      await this.#leases.release(LEASE, this.#holder)
    }
  }

  async #do (step: Step, tell: (line: string) => void): Promise<void> {
    const begin = performance.now()
    const isNeeded = await this.count(step) > 0
    await step.run(this.#db)
    const ms = Math.round(performance.now() - begin)
    await insertNew(this.#records, { _id: step.id, doneAt: new Date(), byVersion: version, ms })
    if (isNeeded) tell(`the data went through ${step.id} in ${ms} ms`)
  }
}
