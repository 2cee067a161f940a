import { type Chatbot } from '../store/chatbots.ts'
import { type Message } from '../store/message.ts'
import { type Session } from '../store/sessions.ts'

/** A turn that is over, with what it knew. */
export interface EndedTurn {
  /** As it was when the turn was taken. */
  readonly session: Session
  readonly chatbot: Chatbot
  /** What was said before on the line, as far as the prompt could hold it. */
  readonly history: readonly Message[]
  readonly userMessage: Message
  /** The API key that the reply was asked with. */
  readonly keyId: string | null
  /** How often a model was called for it. */
  readonly attempts: number
  /** As it ended. */
  readonly reply: Message
}
