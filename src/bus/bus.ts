import { type Signal, type SignalPayload } from '../store/signals.ts'

/** The part of a logger that the bus uses. */
export interface BusLog {
  info (details: object, message: string): void
  warn (details: object, message: string): void
}

export type Listener = (payload: SignalPayload) => void

/** One way to the other replicas. It may lose what it carries; it never throws. */
export interface Carrier {
  /** False: it would lose it for sure, so the next carrier is asked. */
  readonly isReady: boolean
  /** What is sent arrives within milliseconds, so that it pays to send a text as it is written. */
  readonly isInstant: boolean
  /** Hands over what other replicas send, from now on. */
  start (deliver: (signal: Signal) => void): void
  send (signal: Signal): void
  /** Whether anybody here wants this topic. */
  watch (topic: string, wanted: boolean): void
  close (): Promise<void>
}

/**
 * What replicas tell each other. Listeners in this process hear at once, those in others after a small delay, or never:
 * everything said here is a hint, and the truth is in the store. So whoever listens must also look there, if less often.
 */
export class Bus {
  readonly #carriers: readonly Carrier[]
  readonly #listeners = new Map<string, Set<Listener>>()

  /** `carriers`: the first that is ready takes a signal along. None: there is no other replica. */
  constructor (carriers: readonly Carrier[]) {
    this.#carriers = carriers
    for (const carrier of carriers) carrier.start((signal) => this.#deliver(signal))
  }

  get isInstant (): boolean {
    return this.#ready?.isInstant ?? false
  }

  publish (topic: string, payload: SignalPayload): void {
    this.#deliver({ topic, payload })
    this.#ready?.send({ topic, payload })
  }

  /** Returns how to stop listening. */
  subscribe (topic: string, listener: Listener): () => void {
    const listeners = this.#listeners.get(topic) ?? new Set()
    if (listeners.size === 0) this.#watch(topic, true)
    this.#listeners.set(topic, listeners.add(listener))
    return () => {
      listeners.delete(listener)
      if (listeners.size > 0 || this.#listeners.get(topic) !== listeners) return
      this.#listeners.delete(topic)
      this.#watch(topic, false)
    }
  }

  async close (): Promise<void> {
    await Promise.all(this.#carriers.map(async (carrier) => await carrier.close()))
  }

  get #ready (): Carrier | undefined {
    return this.#carriers.find(({ isReady }) => isReady)
  }

  #watch (topic: string, wanted: boolean): void {
    for (const carrier of this.#carriers) carrier.watch(topic, wanted)
  }

  #deliver ({ topic, payload }: Signal): void {
    for (const listener of this.#listeners.get(topic) ?? []) listener(payload)
  }
}
