import { setTimeout as delay } from 'node:timers/promises'
import { type Log } from '../chat/turn-runner.ts'
import { type Job, type JobQueue } from './job-queue.ts'

export interface JobWorkerOptions<J extends Job> {
  readonly queue: JobQueue<J>
  /**
   * Does a job and writes its outcome, under the condition that the lease is still the job's. `signal` tells that it is to be
   * dropped: the lease is lost or the server goes down. What it throws is noted, and the job is done again when its lease lapses.
   */
  readonly run: (job: J, signal: AbortSignal) => Promise<void>
  readonly log: Log
  /** Is told when it has looked everywhere. */
  readonly onRound: () => void
  /** For the log: what kind of jobs these are. */
  readonly name: string
  readonly atOnce: number
  readonly atOncePerGroup: number
  readonly atOncePerOwner: number
  readonly leaseMs?: number
  readonly pollMs?: number
  /** How long those that run may go on when the server closes. */
  readonly graceMs?: number
}

const ownerOf = (group: string) => group.slice(0, group.lastIndexOf('/') + 1)

const LEASE_MS = 30_000
const POLL_MS = 1000
const GRACE_MS = 2000

/**
 * Does jobs of a queue: a few at once, a few of each group and of each owner, groups in turn. It looks at once where `wake` says that there is
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
  /** How many are being done, of each group and of each owner. */
  readonly #busy = new Map<string, number>()
  readonly #serving = new Set<Promise<void>>()
  readonly #cutOff = new AbortController()
  #polling: Promise<void> | undefined
  #isClosed = false
  #isTroubled = false

  constructor (options: JobWorkerOptions<J>) {
    this.#options = options
    this.#leaseMs = options.leaseMs ?? LEASE_MS
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
    const { atOnce } = this.#options
    while (!this.#isClosed && this.#serving.size < atOnce) {
      const group = this.#next()
      if (group === undefined) return
      const serving = this.#serve(group).finally(() => {
        this.#serving.delete(serving)
        this.#leave(group)
        this.#serveAll()
      })
      this.#serving.add(serving)
    }
  }

  /** Takes a place in a group that is ready. */
  #next (): string | undefined {
    const { atOncePerGroup, atOncePerOwner } = this.#options
    for (const group of this.#ready) {
      const owner = ownerOf(group)
      if (this.#count(group) >= atOncePerGroup || this.#count(owner) >= atOncePerOwner) continue
      this.#ready.delete(group)
      for (const name of [group, owner]) this.#busy.set(name, this.#count(name) + 1)
      return group
    }
    return undefined
  }

  #leave (group: string): void {
    for (const name of [group, ownerOf(group)]) {
      const left = this.#count(name) - 1
      if (left > 0) this.#busy.set(name, left)
      else this.#busy.delete(name)
    }
  }

  /** How much of a group or of an owner is being done. */
  #count (name: string): number {
    return this.#busy.get(name) ?? 0
  }

  async #serve (group: string): Promise<void> {
    let job: J | undefined
    await this.#noting(async () => { job = await this.#options.queue.claim(group, this.#leaseMs) })
    if (!job) return
    // There may be more.
    this.wake(group)
    await this.#run(job)
  }

  async #run (job: J): Promise<void> {
    const { queue, run, log, name } = this.#options
    const lost = new AbortController()
    const signal = AbortSignal.any([lost.signal, this.#cutOff.signal])
    const renewal = setInterval(() => {
      // While the store is away the lease just goes on: who has it then is told by the next write.
      queue.renew(job, this.#leaseMs).then((isOurs) => { if (!isOurs) lost.abort() }, () => {})
    }, this.#leaseMs / 3)
    try {
      await run(job, signal)
    } catch (err) {
      if (!signal.aborted) log.warn({ err, job: job.id }, `a job of ${name} failed; it is done again`)
    } finally {
      clearInterval(renewal)
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
