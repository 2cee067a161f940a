import { LRUCache } from 'lru-cache'
import { type Bus } from '../bus/bus.ts'
import { type Chatbot } from '../store/chatbots.ts'

// How long a change made on another replica may go unnoticed where the bus loses the hint. Replicas promise five seconds.
const STALE_MS = 3000
const MAX_CACHED = 1000
const TOPIC = 'config-changed'
const DELETED = Number.MAX_SAFE_INTEGER

/** Without `chatbot`: there is a version that has not been read yet. */
interface Entry {
  readonly version: number
  readonly chatbot?: Chatbot
}

/** Chatbots as they were read a moment ago. Replicas tell each other when to read one anew. */
export class RecentChatbots {
  readonly #bus: Bus
  readonly #entries = new LRUCache<string, Entry>({ max: MAX_CACHED, ttl: STALE_MS })

  constructor (bus: Bus) {
    this.#bus = bus
    bus.subscribe(TOPIC, ({ configId, version }) => {
      const [id, changedTo] = [String(configId), Number(version)]
      if (this.#versionOf(id) < changedTo) this.#entries.set(id, { version: changedTo })
    })
  }

  get (id: string): Chatbot | undefined {
    return this.#entries.get(id)?.chatbot
  }

  /** `readAt`: when the reading began, by `performance.now()`. A reading that was overtaken by a change is not kept. */
  set (chatbot: Chatbot, readAt: number): void {
    const { id, version } = chatbot
    if (this.#versionOf(id) <= version) this.#entries.set(id, { version, chatbot }, { start: readAt })
  }

  /** Tells all replicas, this one first, that a chatbot has got another version. */
  tellChanged ({ id, version }: Chatbot): void {
    this.#bus.publish(TOPIC, { configId: id, version })
  }

  /** Tells all replicas, this one first, that there is no such chatbot any more. */
  tellDeleted (id: string): void {
    this.#bus.publish(TOPIC, { configId: id, version: DELETED })
  }

  #versionOf (id: string): number {
    return this.#entries.get(id)?.version ?? 0
  }
}
