/** Wakes one who rests; it may ring before that. */
export class Alarm {
  #rung = Promise.withResolvers<void>()

  ring (): void {
    this.#rung.resolve()
  }

  /** Resolves when it rings, or rang since the last rest; after `ms` at the latest. */
  async rest (ms: number): Promise<void> {
    const timer = setTimeout(() => this.ring(), ms)
    await this.#rung.promise
    clearTimeout(timer)
    this.#rung = Promise.withResolvers()
  }
}
