import { LRUCache } from 'lru-cache'
import { type Message } from '../store/message.ts'
import { type Session } from '../store/sessions.ts'
import { type EndedTurn } from './ended-turn.ts'

const MAX_BYTES = 32 * 1024 * 1024
// Who has not been answered for so long is read anew; nothing that was erased stays in memory for longer.
const KEPT_MS = 120_000
// What a message takes besides its text, about.
const MESSAGE_BYTES = 1000

/** The last messages of the line that a session is spoken on, as they were at the end of a turn. */
interface Kept {
  /** Of that turn. */
  readonly rev: number
  readonly messages: Message[]
  /** There are none before them. */
  readonly isWhole: boolean
}

const sizeOf = ({ messages }: Kept) => messages.reduce((sum, { content }) => sum + MESSAGE_BYTES + 2 * content.length, 0)

/** The prompt does not hold metadata, and they may be large. */
function withoutMetadata (message: Message): Message {
  if (!message.metadata) return message
  const { metadata: _, ...rest } = message
  return rest
}

/**
 * What was said last, kept from the end of one turn for the next one. A session counts its turns and its changes by `rev`, and
 * whoever takes a turn is told its number by the write that takes it: where it is the next one after the turn that is
 * kept, nothing has happened in between, here or elsewhere, and nothing has to be read.
 */
export class RecentLines {
  readonly #kept = new LRUCache<string, Kept>({ maxSize: MAX_BYTES, sizeCalculation: sizeOf, ttl: KEPT_MS })

  /**
   * The last `limit` messages on the line before a message of the turn that the session was just taken for. Undefined: they
   * have to be read.
   */
  before ({ parentId }: Message, { id, turn }: Session, limit: number): Message[] | undefined {
    const kept = this.#kept.get(id)
    if (kept?.rev !== turn!.rev - 1 || kept.messages.at(-1)!.id !== parentId) return undefined
    return kept.isWhole || kept.messages.length >= limit ? kept.messages.slice(-limit) : undefined
  }

  /** Keeps what is needed for the turn after this one. */
  keep ({ session: { id, turn, log }, chatbot: { historyLimit }, history, userMessage, reply }: EndedTurn): void {
    // A new reply to an old message comes after others; and what was not yet done when the turn began may be done by now.
    const goesOn = userMessage.seq === reply.seq - 1 && log.length === 0
    if (!goesOn || reply.status === 'streaming') {
      this.#kept.delete(id)
      return
    }
    const messages = [...history, userMessage, reply].map(withoutMetadata)
    this.#kept.set(id, {
      rev: turn!.rev,
      messages: messages.slice(-historyLimit),
      isWhole: history.length < historyLimit && messages.length <= historyLimit
    })
  }

  /** Lets go of what is too old. */
  purge (): void {
    this.#kept.purgeStale()
  }
}
