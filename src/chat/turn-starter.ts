import { setTimeout as delay } from 'node:timers/promises'
import { type MessageInput } from '../../schemas/message.ts'
import { type Chatbots } from '../chatbots/chatbots.ts'
import { ApiError } from '../errors.ts'
import { type Chatbot } from '../store/chatbots.ts'
import { newId } from '../store/ids.ts'
import { type Message, type MessageRepository } from '../store/messages.ts'
import { type Session } from '../store/sessions.ts'
import { type FollowedMessage } from './followed-message.ts'
import { type Followers } from './followers.ts'
import { findEarlierSend, replyThatCounts, type SendKey } from './idempotency.ts'
import { LiveMessage } from './live-message.ts'
import { type LiveMessages } from './live-messages.ts'
import { buildPrompt } from './prompt.ts'
import { type TurnRunner } from './turn-runner.ts'
import { interruption, type TurnTaking } from './turn-taking.ts'

// A reply whose end is still on its way to the store is waited for this long.
const SETTLE_ATTEMPTS = 40
const SETTLE_MS = 25
// The largest `historyLimit` there is.
const MAX_HISTORY = 100

/** What became of a send. `replayed`: the same key had started this turn before. */
export interface Sent {
  readonly userMessage: Message
  readonly reply: FollowedMessage
  readonly replayed: boolean
}

interface Dependencies {
  readonly messages: MessageRepository
  readonly chatbots: Chatbots
  readonly turns: TurnTaking
  readonly runner: TurnRunner
  readonly live: LiveMessages
  readonly followers: Followers
}

/** What both messages of a turn have in common. */
function place ({ id, tenantId, configId, userId, channel, lastActivity }: Session, seq: number) {
  return { tenantId, configId, sessionId: id, userId, channel, seq, timestamp: lastActivity }
}

/** Begins the turns that were taken: writes their messages, makes their prompt, starts the model. */
export class TurnStarter {
  readonly #deps: Dependencies

  constructor (deps: Dependencies) {
    this.#deps = deps
  }

  /**
   * Begins the turn of `session`, or answers what the same key had begun before. Undefined: the numbers of the turn were
   * taken; it is free again.
   */
  async start (session: Session, input: MessageInput, key: SendKey | undefined, stream: boolean): Promise<Sent | undefined> {
    const { messages, turns, followers } = this.#deps
    const userMessage: Message = {
      ...place(session, session.nextSeq - 2),
      id: newId(),
      role: 'user',
      content: input.message,
      status: 'completed',
      ...(input.metadata && { metadata: input.metadata }),
      ...key
    }
    const begun = await this.#begin(session, userMessage, [userMessage], stream)
    if (begun) return begun
    const giveBack = async () => await turns.giveBack(session.id, session.turn!.messageId)
    const earlier = key && await findEarlierSend(messages, session.id, key).catch(async (error: unknown) => {
      await giveBack()
      throw error
    })
    const reply = earlier && replyThatCounts(earlier)
    if (earlier && !reply) {
      // The turn is ours, so nobody else runs this message again.
      const narrowed = await turns.keepOneNumber(session)
      const again = narrowed && await this.#begin(narrowed, earlier.userMessage, [], stream)
      if (again) return again
    }
    await giveBack()
    return reply && { userMessage: earlier.userMessage, reply: followers.of(reply), replayed: true }
  }

  /**
   * Writes the messages of a turn, reads what the prompt needs at the same time, and starts the model. Undefined: a message
   * with the key or the numbers was there already; the turn is still ours.
   */
  async #begin (session: Session, userMessage: Message, fresh: Message[], stream: boolean): Promise<Sent | undefined> {
    const { messages, turns, runner, live } = this.#deps
    const { tenantId, id: sessionId } = session
    const messageId = session.turn!.messageId
    const botMessage: Message = {
      ...place(session, session.nextSeq - 1),
      id: messageId,
      role: 'bot',
      content: '',
      status: 'streaming',
      replyTo: userMessage.id
    }
    const [inserted, { chatbot, history }] = await Promise.all([
      messages.insert([...fresh, botMessage]), this.#context(userMessage, session)
    ])
    if (!chatbot) {
      // What was written for a chatbot that is deleted is purged with it.
      await turns.giveBack(sessionId, messageId)
      throw new ApiError('not_found', { detail: `There is no session ${sessionId}.` })
    }
    if (!inserted) return undefined
    const { version, model, fallback, instructions, tone: { language } } = chatbot
    const reply = new LiveMessage({ ...botMessage, configVersion: version })
    const prompt = buildPrompt(chatbot, history, userMessage)
    const request = { tenantId, sessionId, messages: prompt, model, fallback, instructions, language }
    void live.during(reply, runner.run(reply, request, stream))
    return { userMessage, reply, replayed: false }
  }

  /** The chatbot, and what was said before `userMessage`: the last `historyLimit` of it. */
  async #context ({ seq }: Message, session: Session): Promise<{ chatbot: Chatbot | undefined, history: Message[] }> {
    const { chatbots, messages } = this.#deps
    const recent = chatbots.recent(session.tenantId, session.configId)
    if (seq === 1) return { chatbot: recent ?? await chatbots.find(session.tenantId, session.configId), history: [] }
    for (let attempt = 0; ; attempt++) {
      const { chatbot, history } = recent
        ? { chatbot: recent, history: await messages.history(session.id, { limit: recent.historyLimit, before: seq }) }
        : await messages.historyAndChatbot({ ...session, sessionId: session.id }, MAX_HISTORY, seq)
      if (chatbot && !recent) chatbots.remember(chatbot)
      // The end of a turn releases it and ends its message at once; the release may be seen first.
      const unsettled = history.filter(({ status }) => status === 'streaming')
      if (unsettled.length === 0) return { chatbot, history: history.slice(-(chatbot?.historyLimit ?? MAX_HISTORY)) }
      // Its process is gone. Now it is settled, whatever that process may still try.
      if (attempt >= SETTLE_ATTEMPTS) await Promise.all(unsettled.map(async ({ id }) => await messages.end(id, interruption)))
      else await delay(SETTLE_MS)
    }
  }
}
