import { randomUUID } from 'node:crypto'
import { type Signal, type SignalPayload } from '../store/signals.ts'
import { type BusLog, type Carrier } from './bus.ts'
import { connectRedis, type Redis } from './redis-connection.ts'

interface Envelope {
  from: string
  payload: SignalPayload
}

/** Carries signals by Redis pub/sub: within milliseconds, and not at all while the connection is lost. */
export class RedisCarrier implements Carrier {
  readonly isInstant = true
  readonly #prefix: string
  readonly #id = randomUUID()
  readonly #sender: Redis
  /** A connection of its own: one that subscribes can do nothing else. */
  readonly #receiver: Redis
  readonly #channels = new Set<string>()

  /** `name`: replicas of one name hear each other. Connects in the background, again and again, and never fails. */
  constructor (url: string, name: string, log: BusLog) {
    this.#prefix = `parley:${name}:`
    const options = { url, log, whileAway: 'replicas talk by the store' }
    this.#sender = connectRedis(options)
    this.#receiver = connectRedis(options)
    this.#receiver.on('ready', () => { this.#subscribe([...this.#channels]) })
  }

  get isReady (): boolean {
    return this.#sender.status === 'ready' && this.#receiver.status === 'ready'
  }

  start (deliver: (signal: Signal) => void): void {
    this.#receiver.on('message', (channel: string, message: string) => {
      const envelope = envelopeIn(message)
      if (!envelope || envelope.from === this.#id) return
      deliver({ topic: channel.slice(this.#prefix.length), payload: envelope.payload })
    })
  }

  send ({ topic, payload }: Signal): void {
    const envelope: Envelope = { from: this.#id, payload }
    this.#sender.publish(this.#prefix + topic, JSON.stringify(envelope)).catch(() => {})
  }

  watch (topic: string, wanted: boolean): void {
    const channel = this.#prefix + topic
    if (wanted) {
      this.#channels.add(channel)
      this.#subscribe([channel])
    } else {
      this.#channels.delete(channel)
      this.#receiver.unsubscribe(channel).catch(() => {})
    }
  }

  async close (): Promise<void> {
    this.#sender.disconnect()
    this.#receiver.disconnect()
  }

  /** Without a connection this fails; all channels are subscribed to when there is one. */
  #subscribe (channels: string[]): void {
    if (channels.length > 0) this.#receiver.subscribe(...channels).catch(() => {})
  }
}

/** Undefined: no replica has sent this. */
function envelopeIn (message: string): Envelope | undefined {
  try {
    const envelope = JSON.parse(message) as Partial<Envelope> | null
    const isWhole = typeof envelope?.from === 'string' && typeof envelope.payload === 'object' && envelope.payload !== null
    return isWhole ? envelope as Envelope : undefined
  } catch {
    return undefined
  }
}
