import { setTimeout as delay } from 'node:timers/promises'
import { type Log } from '../chat/turn-runner.ts'
import { type Job, type JobQueue } from './job-queue.ts'
import { type Place, type PlaceLimits, Places } from './places.ts'

export interface JobWorkerOptions<J extends Job> extends PlaceLimits {
  readonly queue: JobQueue<J>
  /**
   * Does a job and writes its outcome, under the condition that the lease is still the job's. `signal` tells that it is to be
   * dropped: the lease is lost or the server goes down. What it throws is noted, and the job is done again when its lease lapses.
   * It answers whether the job went well, which decides how many more of its group are done at once.
   */
  readonly run: (job: J, signal: AbortSignal) => Promise<boolean>
  readonly log: Log
  /** Is told when it has looked everywhere. */
  readonly onRound: () => void
  /** For the log: what kind of jobs these are. */
  readonly name: string
  readonly leaseMs?: number
  readonly pollMs?: number
  /** How long those that run may go on when the server closes. */
  readonly graceMs?: number
}

const LEASE_MS = 30_000
const POLL_MS = 1000
const GRACE_MS = 2000

/**
 * Does jobs of a queue, groups in turn, each in a place (`Places`). It looks at once where `wake` says that there is
 * something, and everywhere once a second, which also finds what others took and died with.
 *
 * Why not a library: agenda has one limit for all jobs of a kind, so one dead endpoint would take the places of all; it keeps jobs in a
 * collection of its own, so that an event and its deliveries would be two writes; and it judges what is due and what has
 * lapsed by the clock of each process. Those built on Redis need Redis, which is optional here.
 */
export class JobWorker<J extends Job> {
  readonly #options: JobWorkerOptions<J>
  readonly #leaseMs: number
  readonly #timer: NodeJS.Timeout
  /** Groups that may have something to do, the one that has waited longest first. */
  readonly #ready = new Set<string>()
  readonly #places: Places
  readonly #serving = new Set<Promise<void>>()
  readonly #cutOff = new AbortController()
  #polling: Promise<void> | undefined
  #isClosed = false
  #isTroubled = false

  constructor (options: JobWorkerOptions<J>) {
    this.#options = options
    this.#leaseMs = options.leaseMs ?? LEASE_MS
    this.#places = new Places(options)
    this.#timer = setInterval(() => this.#poll(), options.pollMs ?? POLL_MS)
    this.#poll()
  }

  /** There is something to do in this group. */
  wake (group: string): void {
    this.#ready.add(group)
    this.#serveAll()
  }

  /** Takes nothing more, and lets what runs end; what takes too long is dropped and given back. */
  async close (): Promise<void> {
    this.#isClosed = true
    clearInterval(this.#timer)
    const ended = Promise.all([this.#polling, ...this.#serving])
    const patience = new AbortController()
    await Promise.race([ended, delay(this.#options.graceMs ?? GRACE_MS, undefined, { signal: patience.signal }).catch(() => {})])
    patience.abort()
    this.#cutOff.abort()
    await ended
  }

  #poll (): void {
    this.#polling ??= this.#look().finally(() => { this.#polling = undefined })
  }

  async #look (): Promise<void> {
    await this.#noting(async () => {
      for (const group of await this.#options.queue.dueGroups()) this.#ready.add(group)
      this.#options.onRound()
    })
    this.#serveAll()
  }

  #serveAll (): void {
    if (this.#isClosed) return
    for (const group of this.#ready) {
      const place = this.#places.take(group)
      if (!place) continue
      this.#ready.delete(group)
      const serving = this.#serve(place).finally(() => {
        this.#serving.delete(serving)
        this.#places.leave(place)
        this.#serveAll()
      })
      this.#serving.add(serving)
    }
  }

  async #serve (place: Place): Promise<void> {
    const { group } = place
    let job: J | undefined
    await this.#noting(async () => { job = await this.#options.queue.claim(group, this.#leaseMs) })
    if (!job) return
    // There may be more.
    this.wake(group)
    await this.#run(job, place)
  }

  async #run (job: J, place: Place): Promise<void> {
    const { queue, run, log, name, slow } = this.#options
    const lost = new AbortController()
    const signal = AbortSignal.any([lost.signal, this.#cutOff.signal])
    const renewal = setInterval(() => {
      // While the store is away the lease just goes on: who has it then is told by the next write.
      queue.renew(job, this.#leaseMs).then((isOurs) => { if (!isOurs) lost.abort() }, () => {})
    }, this.#leaseMs / 3)
    const slowness = slow && setTimeout(() => {
      this.#places.slow(place)
      this.#serveAll()
    }, slow.afterMs)
    try {
      if (await run(job, signal)) this.#places.endedWell(place)
    } catch (err) {
      if (!signal.aborted) log.warn({ err, job: job.id }, `a job of ${name} failed; it is done again`)
    } finally {
      clearInterval(renewal)
      clearTimeout(slowness)
    }
    if (this.#cutOff.signal.aborted) await queue.release(job).catch(() => {})
  }

  /** The store may be away for a while: that is noted once, and not once a second. */
  async #noting (work: () => Promise<void>): Promise<void> {
    try {
      await work()
      this.#isTroubled = false
    } catch (err) {
      const { log, name } = this.#options
      if (!this.#isTroubled && !this.#isClosed) log.warn({ err }, `the jobs of ${name} cannot be looked at; that goes on`)
      this.#isTroubled = true
    }
  }
}
