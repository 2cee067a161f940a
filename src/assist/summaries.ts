import { type Summary as SummaryView } from '../../schemas/summary.ts'
import { type Principal } from '../auth/principal.ts'
import { goingDown } from '../chat/followed-message.ts'
import { wasSaid } from '../chat/prompt.ts'
import { ApiError } from '../errors.ts'
import { type ChatProvider } from '../llm/provider.ts'
import { estimateTokens } from '../llm/usage.ts'
import { sessionScope } from '../sessions/access.ts'
import { summaryOf } from '../sessions/lines.ts'
import { type Sessions } from '../sessions/sessions.ts'
import { type Message } from '../store/message.ts'
import { type Session, type SessionScope } from '../store/sessions.ts'
import { type Store } from '../store/store.ts'
import { type Summary } from '../store/upkeep.ts'
import { type Meter } from '../usage/metered.ts'
import { guessLanguage } from './guess-language.ts'
import { shorten } from './shorten.ts'
import { summariseByModel } from './summary-by-model.ts'
import { summariseByRules } from './summary-by-rules.ts'

// What one summary is made of, beside the one before it: the newest so many messages, twice what a prompt may hold, and
// of those as many as have so many tokens, or half of the model's window.
const MAX_MESSAGES = 200
const MAX_TOKENS = 20_000
const SHARE_OF_WINDOW = 0.5
// Of a longer message, its beginning has to do.
const MESSAGE_CHARS = 4000

const MAX_ATTEMPTS = 3

/** So many tokens of new messages are summarised before there are too many: the longest exchange has as many again. */
export const TOKENS_WORTH_A_SUMMARY = MAX_TOKENS / 2

function present ({ branchId: _, createdAt, ...rest }: Summary): SummaryView {
  return { ...rest, createdAt: createdAt.toISOString() }
}

interface Dependencies {
  readonly sessions: Sessions
  readonly store: Pick<Store, 'sessions' | 'messages' | 'upkeep'>
  readonly provider: ChatProvider
  readonly meter: Meter
}

/** Whose call it is, and how long it may take. */
interface Call {
  readonly keyId: string | null
  readonly signal: AbortSignal
}

/** Conversations in short. A session has one summary, of the line that was spoken on when it was made. */
export class Summaries {
  readonly #deps: Dependencies
  readonly #closing = new AbortController()

  constructor (deps: Dependencies) {
    this.#deps = deps
  }

  /** The stored summary of what is spoken on. Throws `not_found` where there is none. */
  async get (principal: Principal, sessionId: string): Promise<SummaryView> {
    const session = await this.#deps.sessions.require(sessionScope(principal, 'sessions:read'), sessionId)
    const summary = summaryOf(session)
    if (!summary) throw new ApiError('not_found', { detail: 'This session has no summary yet.' })
    return present(summary)
  }

  /**
   * Brings the summary up to the newest message. Throws `conflict` where nothing has been said, or where texts are
   * taken away all the time, and what the model failed with.
   */
  async make (principal: Principal, sessionId: string): Promise<SummaryView> {
    const scope = sessionScope(principal, 'sessions:write')
    const call = { keyId: principal.keyId ?? null, signal: this.#closing.signal }
    for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
      const session = await this.#deps.sessions.require(scope, sessionId)
      const made = await this.#extend(session, call)
      if (!made) throw new ApiError('conflict', { detail: 'There is nothing in this session to be summarised.' })
      if (made === session.summary || await this.#deps.store.upkeep.keepSummary(session, made)) return present(made)
    }
    throw new ApiError('conflict', { detail: 'The session is being changed by too many at once.' })
  }

  /** Brings the summary of a session up to its newest message, unless it is changed meanwhile. */
  async roll (scope: SessionScope, sessionId: string, call: Call): Promise<void> {
    const { sessions, upkeep } = this.#deps.store
    const session = await sessions.find(scope, sessionId)
    const made = session && await this.#extend(session, call)
    if (made && made !== session.summary) await upkeep.keepSummary(session, made)
  }

  /** Ends what is being made for those who wait for it. */
  close (): void {
    this.#closing.abort(goingDown())
  }

  /** The summary with what was said since; the same one where nothing was, and none where nothing was ever said. */
  async #extend (session: Session, call: Call): Promise<Summary | undefined> {
    const base = summaryOf(session)
    const fresh = await this.#saidSince(session, base?.throughSeq ?? 0)
    const last = fresh.at(-1)
    if (!last) return base
    return {
      ...await this.#write(session, base?.text ?? '', fresh, call),
      throughSeq: last.seq,
      branchId: last.branchId,
      messageCount: (base?.messageCount ?? 0) + fresh.length,
      createdAt: new Date()
    }
  }

  async #write (
    { id, tenantId, configId, userId }: Session, earlier: string, messages: Message[], { keyId, signal }: Call
  ): Promise<Pick<Summary, 'text' | 'source' | 'model' | 'usage'>> {
    const { provider, meter } = this.#deps
    if (provider.isModel) {
      const metered = meter({ tenantId, configId, userId, keyId, purpose: 'summary' })
      const conversation = { sessionId: id, tenantId, earlier, messages }
      return { source: 'model', ...await summariseByModel(metered, conversation, signal) }
    }
    const texts = [earlier, ...messages.map(({ content }) => content)]
    return { source: 'rules', model: null, text: await summariseByRules(texts, guessLanguage(texts.join('\n'))) }
  }

  /** What was said on the line after a `seq`, as much of the newest as a summary is made of. */
  async #saidSince (session: Session, seq: number): Promise<Message[]> {
    const { store: { messages }, provider } = this.#deps
    const said = (await messages.newestAfter(session, seq, MAX_MESSAGES))
      .filter(wasSaid)
      .map((message) => ({ ...message, content: shorten(message.content, MESSAGE_CHARS) }))
    let room = Math.min(MAX_TOKENS, provider.windowOf(undefined) * SHARE_OF_WINDOW)
    const tooOld = said.findLastIndex(({ content }) => (room -= estimateTokens(content)) < 0)
    return said.slice(tooOld + 1)
  }
}
