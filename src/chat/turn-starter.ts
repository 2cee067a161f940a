import { ApiError } from '../errors.ts'
import { type ChatProvider, type PromptMessage } from '../llm/provider.ts'
import { withSampling } from '../llm/sampling.ts'
import { summaryOf } from '../sessions/lines.ts'
import { type SessionWatch } from '../sessions/session-watch.ts'
import { type Chatbot } from '../store/chatbots.ts'
import { newId } from '../store/ids.ts'
import { type Message } from '../store/message.ts'
import { type MessageRepository } from '../store/messages.ts'
import { type Session } from '../store/sessions.ts'
import { type Grant, type Quotas } from '../usage/quotas.ts'
import { contextBudget, fills } from './context-budget.ts'
import { type Context, type ContextReader } from './context.ts'
import { type EndedTurn } from './ended-turn.ts'
import { type FollowedMessage } from './followed-message.ts'
import { type Followers } from './followers.ts'
import { type EarlierSend, findEarlierSend, replyThatCounts, type SendKey } from './idempotency.ts'
import { LiveMessage } from './live-message.ts'
import { type LiveMessages } from './live-messages.ts'
import { type RecentLines } from './recent-lines.ts'
import { branchBehind, requireRoom } from './branching.ts'
import { buildPrompt } from './prompt.ts'
import { type RunOptions, type TurnRunner } from './turn-runner.ts'
import { type TurnTaking } from './turn-taking.ts'
import { type TurnWork, type Wish } from './turn-work.ts'

/** What became of a send. `replayed`: the same key had started this turn before. */
export interface Sent {
  readonly userMessage: Message
  readonly reply: FollowedMessage
  readonly replayed: boolean
}

interface Dependencies {
  readonly messages: MessageRepository
  readonly context: ContextReader
  readonly lines: RecentLines
  readonly turns: TurnTaking
  readonly runner: TurnRunner
  readonly live: LiveMessages
  readonly followers: Followers
  readonly watch: SessionWatch
  readonly provider: Pick<ChatProvider, 'windowOf'>
  readonly quotas: Quotas
  /** Is told of every turn that is over. */
  readonly onEnd: (turn: EndedTurn) => void
}

/** What a turn is to be: `fresh`, what it says; `userMessage`, what it replies to; `replyKey`, what the reply bears. */
interface Beginning {
  readonly session: Session
  readonly userMessage: Message
  readonly fresh: Message[]
  readonly replyKey?: SendKey
  readonly how: How
}

/** How a turn is wanted: whether its text is read as it is written, the API key that it was asked with, and what else. */
export type How = Omit<RunOptions, 'grant'> & { readonly wish?: Wish }

/** What a turn needs that is written. */
interface Prepared {
  readonly chatbot: Chatbot
  readonly history: Message[]
  readonly prompt: PromptMessage[]
  readonly grant?: Grant | undefined
}

/** What all messages of a turn have in common. */
function place ({ id, tenantId, configId, userId, channel, lastActivity, branchId, turn }: Session) {
  return { tenantId, configId, sessionId: id, userId, channel, branchId, rev: turn!.rev, timestamp: lastActivity }
}

/** Who is answered on an external channel, so that whoever is told of the reply can send it there. */
function answered ({ external }: Session, { metadata }: Message): Pick<Message, 'external'> {
  if (!external) return {}
  const messageId = metadata?.['externalMessageId']
  return { external: { ...external, ...(typeof messageId === 'string' && { messageId }) } }
}

/** What is said in a turn. */
function said (session: Session, work: TurnWork & { kind: 'send' | 'edit' | 'continue' }, key: SendKey | undefined): Message {
  const { message, metadata } = work.input
  return {
    ...place(session),
    id: newId(),
    seq: session.turn!.seq - 1,
    parentId: session.turn!.parentId,
    ...(work.kind === 'edit' && { editOf: work.edited.id }),
    role: 'user',
    content: message,
    status: 'completed',
    ...(metadata && { metadata }),
    ...key
  }
}

function originOf (work: TurnWork): Message | undefined {
  switch (work.kind) {
    case 'edit': return work.edited
    case 'regenerate': return work.answered
    case 'continue': return work.after
  }
}

/** A session is only asked for by the chatbot that it is with. */
function requireChatbot ({ id, configId }: Session, wish: Wish | undefined): void {
  if (wish && wish.configId !== configId) throw new ApiError('not_found', { detail: `There is no session ${id} with this chatbot.` })
}

/** What a new line is about must not have been cleared away in the meantime. */
function requireLeft (work: TurnWork, { id, clearedSeq }: Session): void {
  const origin = originOf(work)
  if (origin && origin.seq <= clearedSeq) throw new ApiError('not_found', { detail: `There is no message ${origin.id} in session ${id}.` })
}

/** Begins the turns that were taken: writes their messages, makes their prompt, starts the model. */
export class TurnStarter {
  readonly #deps: Dependencies

  constructor (deps: Dependencies) {
    this.#deps = deps
  }

  /**
   * Begins the turn of `session`, or answers what the same key had begun before. `again`: the turn is free again and this
   * is what it has to be taken for now.
   */
  async start (session: Session, work: TurnWork, key: SendKey | undefined, how: How): Promise<Sent | { again: TurnWork }> {
    try {
      return await this.#start(session, work, key, how)
    } catch (error) {
      if (error instanceof ApiError) await this.#deps.turns.giveBack(session)
      throw error
    }
  }

  async #start (session: Session, work: TurnWork, key: SendKey | undefined, how: How): Promise<Sent | { again: TurnWork }> {
    const { messages, turns } = this.#deps
    requireChatbot(session, how.wish)
    if (work.kind === 'continue' && !work.branch && session.turn!.parentId !== work.after.id) {
      requireRoom(session)
      await turns.giveBack(session)
      return { again: { ...work, branch: branchBehind(work.after) } }
    }
    if (work.kind === 'rerun') return await this.#rerun(session, work, key!, how)
    const userMessage = 'answered' in work ? work.answered : said(session, work, key)
    const isReplyKeyed = work.kind === 'regenerate'
    const beginning: Beginning = {
      session, userMessage, fresh: isReplyKeyed ? [] : [userMessage], how, ...(isReplyKeyed && key && { replyKey: key })
    }
    requireLeft(work, session)
    // Where nothing may be left of a quota, what was sent before must still be found.
    const isRepeat = key && this.#deps.quotas.isLimited(session.tenantId) && await findEarlierSend(messages, session, key)
    const begun = isRepeat ? undefined : await this.#begin(beginning)
    if (begun) return begun
    const earlier = key && await findEarlierSend(messages, session, key)
    if (earlier && !replyThatCounts(earlier)) {
      if (!isReplyKeyed) {
        await turns.giveBack(session)
        return { again: { kind: 'rerun', answered: earlier.userMessage } }
      }
      // The turn is ours, so nobody else takes up the key.
      await messages.releaseKey(earlier.reply!.id)
      const again = await this.#begin(beginning)
      if (again) return again
    }
    await turns.giveBack(session)
    return earlier ? this.#replay(earlier) : { again: work }
  }

  /** Replies once more where a reply has failed, unless a twin was faster. */
  async #rerun (session: Session, work: TurnWork & { kind: 'rerun' }, key: SendKey, how: How): Promise<Sent | { again: TurnWork }> {
    const { messages, turns } = this.#deps
    const earlier = await findEarlierSend(messages, session, key)
    if (earlier && replyThatCounts(earlier)) {
      await turns.giveBack(session)
      return this.#replay(earlier)
    }
    const { answered } = work
    if (answered.branchId !== session.branchId) {
      throw new ApiError('conflict', { detail: 'The session has gone on on another branch; send the message anew.' })
    }
    const begun = await this.#begin({ session, userMessage: answered, fresh: [], how })
    if (begun) return begun
    await turns.giveBack(session)
    return { again: work }
  }

  #replay (earlier: EarlierSend): Sent {
    return { userMessage: earlier.userMessage, reply: this.#deps.followers.of(replyThatCounts(earlier)!), replayed: true }
  }

  /**
   * Writes the messages of a turn, reads what the prompt needs at the same time, and starts the model. Undefined: a message
   * with the key or the numbers was there already; the turn is still ours.
   */
  async #begin ({ session, userMessage, fresh, replyKey, how }: Beginning): Promise<Sent | undefined> {
    const { runner, live, lines, watch, onEnd } = this.#deps
    const { tenantId, id: sessionId } = session
    const botMessage: Message = {
      ...place(session),
      id: session.turn!.messageId,
      seq: session.turn!.seq,
      parentId: fresh.at(-1)?.id ?? session.turn!.parentId,
      role: 'bot',
      content: '',
      status: 'streaming',
      replyTo: userMessage.id,
      ...answered(session, userMessage),
      ...(how.wish?.asked && { asked: how.wish.asked }),
      ...replyKey
    }
    const prepared = await this.#prepare(session, userMessage, [...fresh, botMessage], how)
    if (!prepared) return undefined
    const { chatbot, history, prompt, grant } = prepared
    const { version, model, fallback, instructions, tone: { language } } = chatbot
    const reply = new LiveMessage({ ...botMessage, configVersion: version })
    const { sampling = {}, format } = how.wish ?? {}
    const bounded = { ...withSampling(model, sampling), ...(grant?.maxTokens && { maxTokens: grant.maxTokens }) }
    const request = {
      tenantId, sessionId, messages: prompt, model: bounded, ...(format && { format }), fallback, instructions, language
    }
    void live.during(reply, runner.run(reply, request, { ...how, grant }))
      .then(() => {
        const turn = { session, chatbot, history, userMessage, reply: reply.botMessage, keyId: how.keyId, attempts: reply.attempts }
        lines.keep(turn)
        onEnd(turn)
      })
    watch.ring(sessionId)
    return { userMessage, reply, replayed: false }
  }

  /** Writes the messages of a turn and makes its prompt; reserves what it may take before that, where there are quotas. */
  async #prepare (session: Session, userMessage: Message, turn: Message[], how: How): Promise<Prepared | undefined> {
    const { messages, context, quotas } = this.#deps
    const promptOf = ({ chatbot, history }: Context) => {
      // What was written for a chatbot that is deleted is purged with it.
      if (!chatbot) throw new ApiError('not_found', { detail: `There is no session ${session.id}.` })
      const earlier = this.#earlier(session, chatbot, history)
      return { chatbot, history, prompt: buildPrompt(chatbot, history, userMessage, earlier, how.wish?.system) }
    }
    if (!quotas.isLimited(session.tenantId)) {
      const [inserted, found] = await Promise.all([messages.insert(turn), context.of(userMessage, session)])
      const prepared = promptOf(found)
      return inserted ? prepared : undefined
    }
    const prepared = promptOf(await context.of(userMessage, session))
    const { prompt, chatbot: { model } } = prepared
    const { maxTokens } = withSampling(model, how.wish?.sampling ?? {})
    const grant = await quotas.reserve({ ...session, keyId: how.keyId }, { id: turn.at(-1)!.id, prompt, maxTokens, messages: 1 })
    let inserted = false
    try {
      inserted = await messages.insert(turn)
    } finally {
      if (!inserted && grant) await quotas.release(grant)
    }
    return inserted ? { ...prepared, grant } : undefined
  }

  /** What stands for messages before the history, where there may be any that the prompt does not hold. */
  #earlier (session: Session, { summaries, historyLimit, model }: Chatbot, history: Message[]): string | undefined {
    const budget = contextBudget(historyLimit, this.#deps.provider.windowOf(model.name))
    return summaries && fills(history, budget) ? summaryOf(session)?.text : undefined
  }
}
