import { type WebhookEventData, type WebhookEventType } from '../../schemas/webhook-event.ts'
import { type Log } from '../chat/turn-runner.ts'
import { newId } from '../store/ids.ts'
import { type Message } from '../store/message.ts'
import { type LeftEntries, type OutboxEntry, type OutboxRepository } from '../store/outbox.ts'
import { type Audience } from './audience.ts'
import { endOf } from './message-end.ts'
import { type WebhookPublisher } from './publisher.ts'

const SWEEP_MS = 10_000
// Who wrote an entry sends it on its way well before.
const ORPHANED_MS = 10_000
const BATCH = 100

interface Dependencies {
  readonly audience: Audience
  readonly publisher: Pick<WebhookPublisher, 'publish'>
  /** Where entries are written. */
  readonly outboxes: readonly OutboxRepository[]
  readonly log: Log
}

/**
 * Sends events on their way that were written with their causes: at once where the cause was written here, and later what
 * processes that died have left. All of it can be repeated, also by several at once: an event has one id, and is delivered
 * once to each endpoint.
 */
export class Relay {
  readonly #deps: Dependencies
  readonly #sweeper: NodeJS.Timeout
  readonly #running = new Set<Promise<void>>()
  #isClosed = false

  constructor (deps: Dependencies) {
    this.#deps = deps
    this.#sweeper = setInterval(() => { this.#inBackground(this.sweep()) }, SWEEP_MS)
    this.#inBackground(this.sweep(new Date()))
  }

  /** Whether anybody of a tenant wants to be told; known without asking. */
  wants (tenantId: string, type: WebhookEventType): boolean {
    return this.#deps.audience.wants(tenantId, type)
  }

  /** What is to be written with a cause. Undefined: nobody wants to be told. */
  entry<T extends WebhookEventType> (tenantId: string, type: T, data: () => WebhookEventData<T>): OutboxEntry | undefined {
    if (!this.wants(tenantId, type)) return undefined
    return { id: `evt_${newId()}`, type, timestamp: new Date(), data: data() }
  }

  /** An entry was written into a document: has it sent on its way now. */
  push (outbox: OutboxRepository, key: string, tenantId: string, entry: OutboxEntry | undefined): void {
    if (entry) this.#inBackground(this.#send(outbox, { key, tenantId, entries: [entry] }))
  }

  /** Resolves when the event of a reply that has ended is on its way, if anybody wants it. */
  async tell (reply: Message): Promise<void> {
    const event = endOf(reply)
    if (!event || !this.#deps.audience.wants(event.tenantId, event.type)) return
    try {
      await this.#deps.publisher.publish(event)
    } catch (error) {
      this.#failed(error)
      throw error
    }
  }

  /** Sends on its way what was written before some moment and is still there. */
  async sweep (before = new Date(Date.now() - ORPHANED_MS)): Promise<void> {
    for (const outbox of this.#deps.outboxes) {
      // What fails holds nothing else up, but comes with the next sweep.
      while (await this.#sweepSome(outbox, before) === BATCH && !this.#isClosed) { /* the next ones */ }
    }
  }

  /** Ends what runs. */
  async close (): Promise<void> {
    this.#isClosed = true
    clearInterval(this.#sweeper)
    await Promise.all(this.#running)
  }

  /** Answers how many were sent. */
  async #sweepSome (outbox: OutboxRepository, before: Date): Promise<number> {
    let sent = 0
    for (const left of await outbox.left(before, BATCH)) {
      await this.#send(outbox, left).then(() => sent++, (error: unknown) => this.#failed(error))
    }
    return sent
  }

  async #send (outbox: OutboxRepository, { key, tenantId, entries }: LeftEntries): Promise<void> {
    for (const entry of entries) await this.#deps.publisher.publish({ tenantId, ...entry })
    await outbox.settle(key, entries.map(({ id }) => id))
  }

  #inBackground (work: Promise<void>): void {
    const running = work.catch((error: unknown) => this.#failed(error)).finally(() => this.#running.delete(running))
    this.#running.add(running)
  }

  #failed (error: unknown): void {
    this.#deps.log.warn({ err: error }, 'an event could not be sent on its way; it is tried again')
  }
}
