import { type Branch as BranchView } from '../../schemas/branch.ts'
import { type FeedbackInput, type FeedbackQuery } from '../../schemas/feedback.ts'
import { type History, type HistoryQuery, type Message as MessageView, type RatedMessage } from '../../schemas/message.ts'
import { type Principal } from '../auth/principal.ts'
import { ApiError } from '../errors.ts'
import { type RemovalGuard } from '../retention/removal-guard.ts'
import { sessionScope } from '../sessions/access.ts'
import { type ChangeLog } from '../sessions/change-log.ts'
import { branchName, lineOf } from '../sessions/lines.ts'
import { type Sessions } from '../sessions/sessions.ts'
import { type Message } from '../store/message.ts'
import { type MessageRepository } from '../store/messages.ts'
import { type PageOf } from '../store/page.ts'
import { type Session, type SessionScope } from '../store/sessions.ts'
import { presentMessage } from './present.ts'

// Each attempt ends a reply; there is another only where sends wait in line.
const MAX_CLEAR_ATTEMPTS = 5

interface Dependencies {
  readonly sessions: Sessions
  readonly messages: MessageRepository
  readonly changes: ChangeLog
  readonly guard: RemovalGuard
  /** Ends a running reply, and waits for that. */
  readonly stop: (sessionId: string, messageId: string) => Promise<void>
}

/** What was said: reading it, line by line, rating it and erasing it. */
export class Transcript {
  readonly #deps: Dependencies

  constructor (deps: Dependencies) {
    this.#deps = deps
  }

  /** A stretch of a branch; of the one that is spoken on, where none is named. */
  async history (principal: Principal, sessionId: string, request: HistoryQuery): Promise<History> {
    const { limit, after, before, branch } = request
    if (after !== undefined && before !== undefined) {
      throw new ApiError('validation_failed', {
        detail: 'after and before exclude each other.',
        members: { errors: [{ path: '/before', message: 'must not come with after' }] }
      })
    }
    const session = await this.#deps.sessions.require(sessionScope(principal, 'sessions:read'), sessionId)
    const line = branch === undefined ? session : lineOf(session, branch)
    const found = await this.#deps.messages.history(line, { after, before, limit: limit + 1 })
    const hasMore = found.length > limit
    const data = !hasMore ? found : after === undefined ? found.slice(1) : found.slice(0, limit)
    return { data: data.map(presentMessage), hasMore }
  }

  async message (principal: Principal, sessionId: string, messageId: string): Promise<MessageView> {
    const { message } = await this.#deps.sessions.requireMessage(sessionScope(principal, 'sessions:read'), sessionId, messageId)
    return presentMessage(message)
  }

  /** The branches of a session, in the order of their beginning. */
  async branches (principal: Principal, sessionId: string): Promise<PageOf<BranchView>> {
    const session = await this.#deps.sessions.require(sessionScope(principal, 'sessions:read'), sessionId)
    const { branchId: active, branches, clearedSeq, startedAt } = session
    const first = { id: null, from: null, parentId: null, startSeq: clearedSeq + 1, createdAt: startedAt }
    const data = [first, ...branches].map(({ id, from, parentId, startSeq, createdAt }) => ({
      id: branchName(sessionId, id),
      from: parentId === null ? null : branchName(sessionId, from),
      parentId,
      startSeq,
      active: id === active,
      createdAt: createdAt.toISOString()
    }))
    return { data, nextCursor: null }
  }

  /** What was said at the same place as a message, that one included, in order. */
  async variants (principal: Principal, sessionId: string, messageId: string): Promise<PageOf<MessageView>> {
    const { sessions, messages } = this.#deps
    const { session, message } = await sessions.requireMessage(sessionScope(principal, 'sessions:read'), sessionId, messageId)
    const { role, parentId } = message
    const parent = parentId === null ? undefined : await messages.find(sessionId, parentId)
    // At a place there is what goes on with the line, and what begins a line of its own.
    const [next] = await messages.history({ ...session, branchId: parent?.branchId ?? null }, { after: parent?.seq ?? 0, limit: 1 })
    const begun = session.branches.filter((branch) => branch.parentId === parentId).map(({ startSeq }) => startSeq)
    const found = await messages.numbered(sessionId, [...(next ? [next.seq] : []), ...begun])
    return { data: found.filter((variant) => variant.role === role && variant.parentId === parentId).map(presentMessage), nextCursor: null }
  }

  /** Erases a message; its place stays. A running reply is stopped first. */
  async erase (principal: Principal, sessionId: string, messageId: string): Promise<void> {
    const scope = sessionScope(principal, 'sessions:write')
    const { session, message } = await this.#deps.sessions.requireMessage(scope, sessionId, messageId)
    if (message.status === 'deleted') return
    const leaving = await this.#deps.guard.claimSession(session)
    const { titleFrom } = session
    if (titleFrom.includes(message.seq)) {
      const set = { title: null, titleFrom: [] }
      await this.#deps.changes.make(scope, sessionId, { type: 'session.updated', data: { title: null }, set, guard: { titleFrom: message.seq } })
    }
    if (message.status === 'streaming') await this.#deps.stop(sessionId, messageId)
    const change = { type: 'message.deleted' as const, messageId, data: { seq: message.seq }, set: { leaving: null }, guard: { leaving } }
    if (await this.#deps.changes.make(scope, sessionId, change)) return
    // There is a hold since, or somebody else removes something here.
    await this.erase(principal, sessionId, messageId)
  }

  /** Erases all that was said in a session, on all branches. A running reply is stopped first. */
  async clear (principal: Principal, sessionId: string): Promise<void> {
    const scope = sessionScope(principal, 'sessions:write')
    const { sessions, changes, guard, stop } = this.#deps
    for (let attempt = 0; attempt < MAX_CLEAR_ATTEMPTS; attempt++) {
      const session = await sessions.require(scope, sessionId)
      const { turn, nextSeq, clearedSeq } = session
      const leaving = await guard.claimSession(session)
      if (turn) await stop(sessionId, turn.messageId)
      if (nextSeq - 1 === clearedSeq) return
      const throughSeq = nextSeq - 1
      const cleared = await changes.make(scope, sessionId, {
        type: 'session.cleared',
        data: { throughSeq },
        set: { clearedSeq: throughSeq, clearing: true, tipId: null, branchId: null, branches: [], leaving: null },
        guard: { turn: null, nextSeq, leaving }
      })
      if (cleared) return
    }
    throw new ApiError('session_busy', { headers: { 'retry-after': '1' } })
  }

  /** Keeps what a reader thought of a reply; null takes it away. */
  async rate (principal: Principal, sessionId: string, messageId: string, input: FeedbackInput | null): Promise<MessageView> {
    const scope = sessionScope(principal, 'sessions:write')
    const { sessions } = this.#deps
    const { message } = await sessions.requireMessage(scope, sessionId, messageId)
    if (message.role !== 'bot') throw new ApiError('conflict', { detail: 'Only replies are rated.' })
    if (message.status === 'deleted') throw new ApiError('conflict', { detail: 'The message has been deleted.' })
    const feedback = input && { ...input, tags: input.tags ?? [], at: new Date() }
    await this.#change(scope, message, { type: 'message.feedback', messageId, data: { feedback, seq: message.seq } })
    return presentMessage((await sessions.requireMessage(scope, sessionId, messageId)).message)
  }

  /** Rated replies, the newest rating first. */
  async ratings (principal: Principal, { limit, cursor, from, to, ...filter }: FeedbackQuery): Promise<PageOf<RatedMessage>> {
    const scope = sessionScope(principal, 'sessions:read')
    if (scope.userId !== undefined && filter.userId !== undefined && filter.userId !== scope.userId) return { data: [], nextCursor: null }
    const { sessions, messages } = this.#deps
    const range = { ...(from !== undefined && { from: new Date(from) }), ...(to !== undefined && { to: new Date(to) }) }
    const data: Message[] = []
    let next: string | null | undefined = cursor
    // A page may lose what is deleted and not yet purged; then the next stored page fills it up.
    do {
      const page: PageOf<Message> = await messages.rated({ ...filter, ...scope, ...range }, { limit: limit - data.length, cursor: next })
      data.push(...await sessions.readable(scope, page.data))
      next = page.nextCursor
    } while (data.length < limit && next !== null)
    return { data: data.map((message) => ({ configId: message.configId, userId: message.userId, message: presentMessage(message) })), nextCursor: next }
  }

  async #change (scope: SessionScope, { sessionId }: Message, change: Parameters<ChangeLog['make']>[2]): Promise<Session> {
    const changed = await this.#deps.changes.make(scope, sessionId, change)
    if (!changed) throw new ApiError('not_found', { detail: `There is no session ${sessionId}.` })
    return changed
  }
}
