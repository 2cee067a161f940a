import { type Accepted, type Exchange, type Message as MessageView, type MessageInput } from '../../schemas/message.ts'
import { type Principal } from '../auth/principal.ts'
import { type Bus } from '../bus/bus.ts'
import { type Chatbots } from '../chatbots/chatbots.ts'
import { ApiError } from '../errors.ts'
import { type ChatProvider } from '../llm/provider.ts'
import { type Search } from '../search/search.ts'
import { sessionScope } from '../sessions/access.ts'
import { type ChangeLog } from '../sessions/change-log.ts'
import { type SessionWatch } from '../sessions/session-watch.ts'
import { type Sessions } from '../sessions/sessions.ts'
import { type Message } from '../store/message.ts'
import { type RemovalGuard } from '../retention/removal-guard.ts'
import { hidden, type Session } from '../store/sessions.ts'
import { type Store } from '../store/store.ts'
import { type UsageLedger } from '../usage/ledger.ts'
import { type Quotas } from '../usage/quotas.ts'
import { Branching } from './branching.ts'
import { ContextReader } from './context.ts'
import { type EndedTurn } from './ended-turn.ts'
import { Endings } from './endings.ts'
import { type FollowedMessage, goingDown, untilEnd } from './followed-message.ts'
import { Followers } from './followers.ts'
import { LiveMessages } from './live-messages.ts'
import { tellLiveText } from './live-text.ts'
import { presentMessage } from './present.ts'
import { Purger } from './purger.ts'
import { Reaper } from './reaper.ts'
import { RecentLines } from './recent-lines.ts'
import { Sender, type SendOptions as SenderOptions } from './sender.ts'
import { SessionRemoval } from './session-removal.ts'
import { Stopper } from './stopper.ts'
import { Transcript } from './transcript.ts'
import { type Log, TurnRunner } from './turn-runner.ts'
import { type Sent, TurnStarter } from './turn-starter.ts'
import { TurnTaking } from './turn-taking.ts'
import { type NewWork } from './turn-work.ts'
import { WaitingLine } from './waiting-line.ts'

/** How a send is wanted. */
export type SendOptions = Omit<SenderOptions, 'keyId'>

const PURGE_INTERVAL_MS = 60_000

export interface ChatOptions {
  readonly store: Store
  readonly bus: Bus
  readonly chatbots: Chatbots
  readonly sessions: Sessions
  readonly changes: ChangeLog
  readonly search: Search
  readonly guard: RemovalGuard
  readonly watch: SessionWatch
  readonly provider: ChatProvider
  readonly quotas: Quotas
  readonly ledger: UsageLedger
  /** Is told of every turn that is over. */
  readonly onEnd: (turn: EndedTurn) => void
  /** Is told when a round of background work is done. */
  readonly onRound: (work: 'reaper' | 'purger') => void
  readonly log: Log
  readonly leaseMs: number
  readonly flushMs: number
}

/** Conversations: sending, reading, following and stopping messages, and cleaning up after what ended badly. */
export class Chat {
  readonly transcript: Transcript
  readonly followers: Followers
  readonly removal: SessionRemoval
  readonly #branching: Branching
  readonly #options: ChatOptions
  readonly #live = new LiveMessages()
  readonly #line: WaitingLine
  readonly #lines = new RecentLines()
  readonly #stopper: Stopper
  readonly #sender: Sender
  readonly #reaper: Reaper
  readonly #purger: Purger
  readonly #timers: NodeJS.Timeout[]
  readonly #closing = new AbortController()

  constructor (options: ChatOptions) {
    const { store: { sessions, messages, ...store }, bus, chatbots, watch, provider, quotas, ledger, onEnd, log, leaseMs, flushMs } = options
    const live = this.#live
    const line = this.#line = new WaitingLine(bus)
    const endings = new Endings(messages, ledger)
    const turns = new TurnTaking(store.turns, messages, endings, line, watch, leaseMs)
    const runner = new TurnRunner({ messages, endings, turns, provider, ledger, log, leaseMs, flushMs })
    const followers = new Followers(bus, live, messages, flushMs)
    const starter = new TurnStarter({
      messages,
      context: new ContextReader(chatbots, messages, endings, this.#lines),
      lines: this.#lines,
      turns,
      runner,
      live,
      followers,
      watch,
      provider,
      quotas,
      onEnd
    })
    const stopper = new Stopper(bus, live, messages, endings, turns)
    this.#options = options
    this.transcript = new Transcript({
      sessions: options.sessions,
      messages,
      changes: options.changes,
      guard: options.guard,
      stop: async (sessionId, messageId) => await stopper.stop(sessionId, messageId)
    })
    this.#branching = new Branching(options.sessions, messages)
    this.followers = followers
    this.#stopper = stopper
    this.#sender = new Sender({ messages, turns, line, starter, stopper, followers, leaseMs })
    this.#reaper = new Reaper(messages, endings, turns)
    this.removal = new SessionRemoval({
      ...store, deliveries: store.webhookDeliveries, messages, turns, search: options.search, ledger, stopper, line
    })
    this.#purger = new Purger({ ...store, sessions, guard: options.guard, removal: this.removal })
    tellLiveText(bus, live)
    this.#timers = [
      setInterval(() => { this.#inBackground(this.reap()) }, leaseMs / 2),
      setInterval(() => { this.#inBackground(this.purge()) }, PURGE_INTERVAL_MS)
    ]
    this.#inBackground(this.reap())
    this.#inBackground(this.purge())
  }

  /** Replies that are being written here. */
  get running (): number {
    return this.#live.size
  }

  /** True: running turns are given time to end, then interrupted. */
  get isDraining (): boolean {
    return this.#sender.isClosed
  }

  /** Aborted when this process goes away: those who still follow a message must come back elsewhere. */
  get closing (): AbortSignal {
    return this.#closing.signal
  }

  /**
   * Lets something run that is no turn and is to be given the same time when this process goes away; then `cutOff` is called.
   * Throws `overloaded` where that has begun.
   */
  async outlast<T> (work: () => Promise<T>, cutOff: () => void): Promise<T> {
    if (this.isDraining) throw goingDown()
    return await this.#live.expect(work(), cutOff)
  }

  /** Starts a turn, or finds the one that the same key has started. */
  async send (principal: Principal, sessionId: string, input: MessageInput, options: SendOptions): Promise<Sent> {
    return await this.#begin(principal, sessionId, { kind: 'send', input }, options)
  }

  /** Starts a turn that says something else than an earlier message, on a branch of its own. */
  async edit (principal: Principal, sessionId: string, messageId: string, input: MessageInput, options: SendOptions): Promise<Sent> {
    const scope = sessionScope(principal, 'sessions:write')
    return await this.#begin(principal, sessionId, await this.#branching.edit(scope, sessionId, messageId, input), options)
  }

  /** Starts a turn behind a certain message: where the session has gone on since, on a branch of its own. */
  async goOn (principal: Principal, sessionId: string, after: Message, input: MessageInput, options: SendOptions): Promise<Sent> {
    return await this.#begin(principal, sessionId, { kind: 'continue', input, after }, options)
  }

  /** Starts a turn with another reply to an earlier message, on a branch of its own. */
  async regenerate (principal: Principal, sessionId: string, messageId: string, options: SendOptions): Promise<Sent> {
    const scope = sessionScope(principal, 'sessions:write')
    return await this.#begin(principal, sessionId, await this.#branching.regenerate(scope, sessionId, messageId), options)
  }

  /** Waits for the reply. Throws what the model failed with; the messages of the turn are in the problem. */
  async exchange ({ userMessage: answered, reply }: Sent): Promise<Exchange> {
    const ended = await untilEnd(reply, this.#closing.signal)
    const [userMessage, botMessage] = [answered, ended].map(presentMessage) as [MessageView, MessageView]
    if (ended.error) {
      throw new ApiError(ended.error.code, {
        detail: ended.error.detail, headers: reply.cause?.headers ?? {}, members: { userMessage, botMessage }
      })
    }
    return { reply: ended.content, userMessage, botMessage }
  }

  /** The messages of a turn that has begun, as they are now. */
  accepted ({ userMessage, reply }: Sent): Accepted {
    return {
      userMessage: presentMessage(userMessage),
      botMessage: presentMessage({ ...reply.botMessage, content: reply.text })
    }
  }

  /** A message to follow from any offset; one that has ended is given as it is. */
  async follow (principal: Principal, sessionId: string, messageId: string): Promise<FollowedMessage> {
    const { message } = await this.#options.sessions.requireMessage(sessionScope(principal, 'sessions:read'), sessionId, messageId)
    return this.followers.of(message)
  }

  /** Ends a running reply with the text it has; any other message is returned as it is. */
  async stop (principal: Principal, sessionId: string, messageId: string): Promise<MessageView> {
    const scope = sessionScope(principal, 'sessions:write')
    const { sessions } = this.#options
    await sessions.requireMessage(scope, sessionId, messageId)
    await this.#stopper.stop(sessionId, messageId)
    return presentMessage((await sessions.requireMessage(scope, sessionId, messageId)).message)
  }

  /** Deletes a session; a running turn is aborted. Throws `legal_hold`. */
  async deleteSession (principal: Principal, sessionId: string): Promise<void> {
    const scope = sessionScope(principal, 'sessions:write')
    const { store, sessions, changes, guard } = this.#options
    let session: Session | undefined = await sessions.require(scope, sessionId)
    // Where the claim was contested, or somebody else was faster.
    while (session) {
      const leaving = await guard.claimSession(session)
      const isDone = await changes.make(scope, sessionId, { type: 'session.deleted', data: {}, set: hidden, guard: { leaving } })
      session = isDone ? undefined : await store.sessions.find(scope, sessionId)
    }
    this.#stopper.abort({ sessionId })
    this.#line.dismiss(sessionId)
    this.#inBackground(this.purge())
  }

  /** Deletes a chatbot and with it its sessions; running turns are aborted. Throws `legal_hold`. */
  async deleteChatbot ({ tenantId }: Principal, configId: string): Promise<void> {
    const { chatbots, guard } = this.#options
    await chatbots.require(tenantId, configId)
    while (!await chatbots.delete(tenantId, configId, await guard.claimChatbot(tenantId, configId))) await chatbots.require(tenantId, configId)
    this.#stopper.abort({ configId })
    this.#inBackground(this.purge())
  }

  /** Ends what crashed processes left behind. */
  async reap (): Promise<void> {
    this.#lines.purge()
    await this.#reaper.pass((id) => this.#live.get(id) !== undefined)
    await this.#options.changes.settleAll()
    this.#options.onRound('reaper')
  }

  /** Ends the turn of a session, if its process has died. */
  async recover (sessionId: string): Promise<void> {
    await this.#reaper.recover(sessionId)
  }

  /** Removes what was deleted. */
  async purge (): Promise<void> {
    await this.#purger.run()
    this.#options.onRound('purger')
  }

  /** Takes no new turn, gives the running ones `graceMs`, interrupts the rest, and sends away those who follow. */
  async drain (graceMs: number): Promise<void> {
    this.#sender.close()
    await this.#live.drain(graceMs)
    this.#closing.abort()
  }

  async close (): Promise<void> {
    this.#timers.forEach(clearInterval)
    await this.drain(0)
    await this.#purger.close()
  }

  async #begin (principal: Principal, sessionId: string, work: NewWork, options: SendOptions): Promise<Sent> {
    const scope = sessionScope(principal, 'sessions:write')
    return await this.#live.expect(this.#sender.send(scope, sessionId, work, { ...options, keyId: principal.keyId ?? null }))
  }

  /** A failure of background work is logged; the next round tries again. */
  #inBackground (work: Promise<void>): void {
    work.catch((error: unknown) => {
      if (!this.#closing.signal.aborted) this.#options.log.warn({ err: error }, 'cleaning up failed; it is tried again')
    })
  }
}
