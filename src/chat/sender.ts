import { setTimeout as delay } from 'node:timers/promises'
import { type MessageInput } from '../../schemas/message.ts'
import { type Chatbots } from '../chatbots/chatbots.ts'
import { ApiError } from '../errors.ts'
import { type Chatbot } from '../store/chatbots.ts'
import { newId } from '../store/ids.ts'
import { type Message, type MessageRepository } from '../store/messages.ts'
import { type Session, type SessionRepository, type SessionScope } from '../store/sessions.ts'
import { type FollowedMessage, goingDown, untilEnd } from './followed-message.ts'
import { type EarlierSend, findEarlierSend, mayRunAgain, requestHash } from './idempotency.ts'
import { LiveMessage } from './live-message.ts'
import { type LiveMessages } from './live-messages.ts'
import { buildPrompt } from './prompt.ts'
import { StoredMessage } from './stored-message.ts'
import { TurnQueue } from './turn-queue.ts'
import { type TurnRunner } from './turn-runner.ts'
import { type TurnTaking } from './turn-taking.ts'

// How often a turn that runs in another process is looked at by those who wait for it.
const WAIT_MS = 50
// A reply whose end is still on its way to the store is waited for this long before a prompt goes without it.
const SETTLE_ATTEMPTS = 40
const SETTLE_MS = 25
// The largest `historyLimit` there is.
const MAX_HISTORY = 100

export interface SendOptions {
  readonly idempotencyKey?: string
  readonly onBusy: 'reject' | 'queue' | 'interrupt'
  /** Whether the reader wants the text as it is written. */
  readonly stream: boolean
}

/** `replayed`: the same key had started this turn before. */
export interface Sent {
  readonly followed: FollowedMessage
  readonly replayed: boolean
}

interface Dependencies {
  readonly messages: MessageRepository
  readonly sessions: SessionRepository
  readonly chatbots: Chatbots
  readonly turns: TurnTaking
  readonly runner: TurnRunner
  readonly live: LiveMessages
  /** How often a message that another process writes is read. */
  readonly followMs: number
}

interface Send {
  readonly scope: SessionScope
  readonly sessionId: string
  readonly input: MessageInput
  readonly options: SendOptions
  readonly key: string | undefined
  readonly hash: string | undefined
}

/** Turns a message into a running turn. */
export class Sender {
  readonly #deps: Dependencies
  readonly #queue = new TurnQueue()
  #closed = false

  get isClosed (): boolean {
    return this.#closed
  }

  constructor (deps: Dependencies) {
    this.#deps = deps
  }

  /** From now on every send is refused. */
  close (): void {
    this.#closed = true
  }

  async send (scope: SessionScope, sessionId: string, input: MessageInput, options: SendOptions): Promise<Sent> {
    const key = options.idempotencyKey
    const send: Send = { scope, sessionId, input, options, key, hash: key === undefined ? undefined : requestHash(input) }
    if (options.onBusy !== 'queue') return await this.#begin(send)
    const leave = await this.#queue.join(sessionId)
    try {
      return await this.#begin(send)
    } finally {
      leave()
    }
  }

  /** Ends a running reply, wherever it runs. */
  async stop (sessionId: string, messageId: string): Promise<void> {
    const live = this.#deps.live.get(messageId)
    if (live) {
      live.abort('stopped')
      await untilEnd(live)
    } else if (await this.#deps.messages.end(messageId, { status: 'stopped' })) {
      // Its process notices with the next write that the message is no longer streaming.
      await this.#deps.sessions.releaseTurn(sessionId, messageId)
    }
  }

  /** Tries until the turn is taken, an earlier send with the same key is found, or the policy says no. */
  async #begin (send: Send): Promise<Sent> {
    const { scope, sessionId, key, hash, options } = send
    for (;;) {
      if (this.#closed) throw goingDown()
      const messageId = newId()
      const wish = { sessionId, messageId, count: 2, idempotencyKey: key ?? null } as const
      const attempt = await this.#deps.turns.take(scope, wish)
      if ('taken' in attempt) {
        const begun = await this.#startNew(send, attempt.taken, messageId)
        if (begun) return begun
        continue
      }
      const earlier = key !== undefined && hash !== undefined && await findEarlierSend(this.#deps.messages, sessionId, key, hash)
      if (earlier && !mayRunAgain(earlier)) return this.#attach(earlier)
      if ('ended' in attempt) throw new ApiError('session_ended', { detail: 'The session has ended; it takes no more messages.' })
      // A twin that has taken the turn and not yet written its message is waited for like any turn in a queue.
      const isTwin = key !== undefined && attempt.running.idempotencyKey === key
      if (options.onBusy === 'interrupt' && !isTwin) {
        await this.stop(sessionId, attempt.running.messageId)
      } else if (options.onBusy === 'reject' && !isTwin) {
        throw new ApiError('session_busy', { detail: 'The session is answering another message.', headers: { 'retry-after': '1' } })
      }
      await this.#untilFree(attempt.running.messageId)
    }
  }

  /** Undefined: the numbers of the turn were taken; the turn is free again. */
  async #startNew (send: Send, session: Session, messageId: string): Promise<Sent | undefined> {
    const { input, key, hash, options } = send
    const userMessage: Message = {
      ...place(session, session.nextSeq - 2),
      id: newId(),
      role: 'user',
      content: input.message,
      status: 'completed',
      ...(input.metadata && { metadata: input.metadata }),
      ...(key !== undefined && { idempotencyKey: key, requestHash: hash })
    }
    const begun = await this.#write([userMessage], userMessage, session, messageId, options.stream)
    if (begun) return begun
    const earlier = key !== undefined && hash !== undefined && await findEarlierSend(this.#deps.messages, session.id, key, hash)
    if (!earlier) return undefined
    return mayRunAgain(earlier) ? await this.#runAgain(send, earlier) : this.#attach(earlier)
  }

  /** A new reply to a user message whose turn had failed. Undefined: somebody else is at it. */
  async #runAgain ({ scope, sessionId, key, options }: Send, { userMessage }: EarlierSend): Promise<Sent | undefined> {
    const { messages, turns } = this.#deps
    const messageId = newId()
    const attempt = await turns.take(scope, { sessionId, messageId, count: 1, idempotencyKey: key ?? null })
    if (!('taken' in attempt)) return undefined
    const reply = await messages.latestReply(userMessage)
    if (mayRunAgain({ userMessage, reply })) return await this.#write([], userMessage, attempt.taken, messageId, options.stream)
    await turns.release(sessionId, messageId)
    return undefined
  }

  /**
   * Writes the messages of a turn, reads what the prompt needs at the same time, and starts the model. Undefined: a message
   * with the key or the numbers was there already; the turn is free again.
   */
  async #write (
    fresh: Message[], userMessage: Message, session: Session, messageId: string, stream: boolean
  ): Promise<Sent | undefined> {
    const { messages, turns, runner, live } = this.#deps
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
    if (!inserted || !chatbot) await turns.release(session.id, messageId)
    // What was written for a chatbot that is deleted is purged with it.
    if (!chatbot) throw new ApiError('not_found', { detail: `There is no session ${session.id}.` })
    if (!inserted) return undefined
    const { version, model, fallback, instructions, tone: { language } } = chatbot
    const message = new LiveMessage(userMessage, { ...botMessage, configVersion: version })
    const { tenantId, id: sessionId } = session
    const prompt = buildPrompt(chatbot, history, userMessage)
    const request = { tenantId, sessionId, messages: prompt, model, fallback, instructions, language }
    void live.during(message, runner.run(message, request, stream))
    return { followed: message, replayed: false }
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
      if (attempt === SETTLE_ATTEMPTS || !history.some(({ status }) => status === 'streaming')) {
        return { chatbot, history: history.slice(-(chatbot?.historyLimit ?? MAX_HISTORY)) }
      }
      await delay(SETTLE_MS)
    }
  }

  #attach ({ userMessage, reply }: EarlierSend): Sent {
    const { live, messages, followMs } = this.#deps
    const botMessage = reply!
    return { followed: live.get(botMessage.id) ?? new StoredMessage(messages, followMs, userMessage, botMessage), replayed: true }
  }

  async #untilFree (messageId: string): Promise<void> {
    const live = this.#deps.live.get(messageId)
    if (live) await untilEnd(live).catch(() => {})
    else await delay(WAIT_MS)
  }
}

/** What both messages of a turn have in common. */
function place ({ id, tenantId, configId, userId, channel, lastActivity }: Session, seq: number) {
  return { tenantId, configId, sessionId: id, userId, channel, seq, timestamp: lastActivity }
}
