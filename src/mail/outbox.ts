import { setTimeout as delay } from 'node:timers/promises'
import { BoundedQueue } from '../bounded-queue.ts'
import { type Mail, type Mailer, type MailLog } from './mailer.ts'

const AT_ONCE = 2
const MAY_WAIT = 500
const PAUSES_MS = [1000, 5000, 30_000]

/** Sends mail behind the answers of requests. What cannot be sent is noted, and whoever waits for it asks again. */
export class Outbox {
  readonly #mailer: Mailer
  readonly #log: MailLog
  readonly #pausesMs: readonly number[]
  readonly #queue = new BoundedQueue(AT_ONCE, MAY_WAIT)
  readonly #closing = new AbortController()
  readonly #working = new Set<Promise<void>>()

  constructor (mailer: Mailer, log: MailLog, pausesMs: readonly number[] = PAUSES_MS) {
    this.#mailer = mailer
    this.#log = log
    this.#pausesMs = pausesMs
  }

  /** Sends a mail soon, or the one that `write` makes, if it makes one. */
  post (write: () => Promise<Mail | undefined>): void {
    const work = this.#queue.run(async () => {
      if (this.#closing.signal.aborted) throw new Error('the server went down first')
      const mail = await write()
      if (mail) await this.#send(mail)
    })
    if (!work) return this.#log.warn({}, 'too much mail is waiting: one was dropped')
    const working = work
      .catch((err: unknown) => this.#log.warn({ err }, 'a mail could not be sent'))
      .finally(() => this.#working.delete(working))
    this.#working.add(working)
  }

  /** What is being sent is sent; nothing more is begun, and nothing tried again. */
  async close (): Promise<void> {
    this.#closing.abort()
    await Promise.all(this.#working)
    this.#mailer.close()
  }

  async #send (mail: Mail): Promise<void> {
    for (const pause of [...this.#pausesMs, undefined]) {
      try {
        return await this.#mailer.send(mail)
      } catch (error) {
        if (pause === undefined || isFinal(error) || this.#closing.signal.aborted) throw error
        await delay(pause, undefined, { signal: this.#closing.signal }).catch(() => {})
      }
    }
  }
}

/** What the server refuses for good, it refuses again. */
function isFinal (error: unknown): boolean {
  const { responseCode } = error as { responseCode?: number }
  return responseCode !== undefined && responseCode >= 500
}
