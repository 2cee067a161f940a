import { type Bus } from '../bus/bus.ts'
import { type LiveMessage } from './live-message.ts'
import { type LiveMessages } from './live-messages.ts'

/** Asks for the text of a message, from an offset on. */
export const TEXT_WANTED = 'text-wanted'
/** How often who wants a text says so again, in milliseconds. */
export const ASK_MS = 1000
// A few times as long, so that one lost question is no matter.
const LINGER_MS = 3500
const BATCH_MS = 25

/** Where the text of a message is told, as `{ offset, text, over }`; `over` is 1 when there will be no more. */
export const textTopic = (messageId: string) => `text:${messageId}`

/** From now on tells other replicas the text of what is written here, as long as they ask for it. */
export function tellLiveText (bus: Bus, live: LiveMessages): void {
  const tellings = new Map<string, Telling>()
  bus.subscribe(TEXT_WANTED, (wish) => {
    const message = live.get(String(wish['messageId']))
    if (!message) return
    const { id } = message.botMessage
    const telling = tellings.get(id) ?? new Telling(bus, message, () => tellings.delete(id))
    tellings.set(id, telling)
    telling.extend(Number(wish['offset']))
  })
}

/** The text of one message on its way to other replicas. */
class Telling {
  readonly #bus: Bus
  readonly #message: LiveMessage
  readonly #done: () => void
  readonly #unsubscribe: () => void
  #told = Infinity
  #until = 0
  #timer: NodeJS.Timeout | undefined

  constructor (bus: Bus, message: LiveMessage, done: () => void) {
    this.#bus = bus
    this.#message = message
    this.#done = done
    this.#unsubscribe = message.subscribe(() => this.#changed())
  }

  /** Goes on for a while, from `offset` on; those who have more already know it by its offset. */
  extend (offset: number): void {
    this.#until = performance.now() + LINGER_MS
    this.#told = Math.min(this.#told, offset)
    this.#changed()
  }

  #changed (): void {
    if (this.#isOver) this.#tell()
    else this.#timer ??= setTimeout(() => this.#tell(), BATCH_MS)
  }

  get #isOver (): boolean {
    return this.#message.ended || this.#message.failure !== undefined
  }

  #tell (): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    const { text, botMessage: { id } } = this.#message
    const isOver = this.#isOver
    // By the store, a text would be written twice.
    if (this.#bus.isInstant && (isOver || this.#told < text.length)) {
      this.#bus.publish(textTopic(id), { offset: this.#told, text: text.slice(this.#told), over: isOver ? 1 : 0 })
      this.#told = text.length
    }
    if (!isOver && performance.now() < this.#until) return
    this.#unsubscribe()
    this.#done()
  }
}
