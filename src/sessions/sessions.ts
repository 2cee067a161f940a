import { type Session as SessionView, type SessionInput, type SessionPatch, type SessionQuery } from '../../schemas/session.ts'
import { covers, type Principal } from '../auth/principal.ts'
import { type Chatbots } from '../chatbots/chatbots.ts'
import { ApiError } from '../errors.ts'
import { type Chatbot } from '../store/chatbots.ts'
import { newId, parseId } from '../store/ids.ts'
import { type OutboxEntry } from '../store/outbox.ts'
import { type PageOf } from '../store/page.ts'
import { type Message } from '../store/message.ts'
import { type MessageRepository } from '../store/messages.ts'
import { type ExternalUser, type RecordedChange, type Session, type SessionRepository, type SessionScope } from '../store/sessions.ts'
import { sessionScope } from './access.ts'
import { type SessionUpdate } from '../store/changes.ts'
import { type Relay } from '../webhooks/relay.ts'
import { type ChangeLog } from './change-log.ts'
import { lineOf } from './lines.ts'

const MAX_SWITCH_ATTEMPTS = 5

const missing = (id: string) => new ApiError('not_found', { detail: `There is no session ${id}.` })

/** A session as clients see it. */
export function presentSession (session: Session): SessionView {
  const { id, configId, configVersion, userId, channel, external, title, metadata, status, branchId, upkeep, startedAt, lastActivity } = session
  return {
    id,
    sessionId: id,
    configId,
    configVersion,
    userId,
    channel,
    ...(external && { external: { integrationId: external.integrationId, userId: external.userId } }),
    title,
    metadata,
    status,
    branchId: branchId ?? id,
    messageCount: session.nextSeq - 1 - session.clearedSeq,
    ...(upkeep && { upkeep }),
    startedAt: startedAt.toISOString(),
    lastActivity: lastActivity.toISOString()
  }
}

/** Where something was said, or, without a `seq`, a session itself. */
export interface Place {
  readonly sessionId: string
  readonly configId: string
  readonly seq?: number | undefined
}

/** The user a new session belongs to: the caller, unless they may speak for others and name one. */
function ownerOf (principal: Principal, named: string | undefined): string | null {
  if (named === undefined || named === principal.userId) return principal.userId
  if (covers(principal, 'sessions:write')) return named
  throw new ApiError('forbidden', { detail: 'Opening a session for another user needs the scope sessions:write.' })
}

/** Opening, finding and changing conversations. A session whose chatbot is deleted is gone with it. */
export class Sessions {
  readonly #repository: SessionRepository
  readonly #messages: MessageRepository
  readonly #changes: ChangeLog
  readonly #chatbots: Chatbots
  readonly #relay: Relay

  constructor (repository: SessionRepository, messages: MessageRepository, changes: ChangeLog, chatbots: Chatbots, relay: Relay) {
    this.#repository = repository
    this.#messages = messages
    this.#changes = changes
    this.#chatbots = chatbots
    this.#relay = relay
  }

  /**
   * `id`: where an earlier attempt with it has succeeded, its session is returned. `external`: who it is with, where they are
   * on an external channel.
   */
  async create (principal: Principal, input: SessionInput, id = newId(), external?: ExternalUser): Promise<SessionView> {
    const scope = sessionScope(principal, 'sessions:write')
    const { tenantId } = scope
    const userId = ownerOf(principal, input.userId)
    const { visitor } = principal
    if (visitor && visitor.configId !== input.configId) throw new ApiError('not_found', { detail: `There is no configuration ${input.configId}.` })
    const chatbot = await this.#chatbotFor(tenantId, input)
    const channel = input.channel ?? null
    if (channel !== null && chatbot.channels.length > 0 && !chatbot.channels.includes(channel)) {
      throw new ApiError('validation_failed', {
        detail: 'The chatbot does not serve this channel.',
        members: { errors: [{ path: '/channel', message: `must be one of ${chatbot.channels.join(', ')}` }] }
      })
    }
    let entry: OutboxEntry | undefined
    const inserted = await this.#repository.insert(id, {
      tenantId,
      configId: chatbot.id,
      configVersion: input.configVersion ?? null,
      userId,
      channel,
      title: input.title ?? null,
      metadata: input.metadata ?? {},
      ...(external && { external })
    }, new Date(), (session) => {
      entry = this.#entry('session.started', session)
      return entry
    })
    // Deleted meanwhile, the chatbot may have been purged before there was this session to purge with it.
    if (!(await this.#chatbots.living(tenantId, [chatbot.id])).has(chatbot.id)) {
      await this.#repository.markDeleted({ tenantId }, id)
      throw new ApiError('not_found', { detail: `There is no configuration ${chatbot.id}.` })
    }
    if (inserted) this.#relay.push(this.#repository.outbox, id, tenantId, entry)
    return presentSession(inserted ?? await this.require(scope, id))
  }

  /** Newest activity first. */
  async list (principal: Principal, { limit, cursor, configId, userId }: SessionQuery): Promise<PageOf<SessionView>> {
    const scope = sessionScope(principal, 'sessions:read')
    if (scope.userId !== undefined && userId !== undefined && userId !== scope.userId) return { data: [], nextCursor: null }
    const filter = { ...scope, ...(userId !== undefined && { userId }), ...(configId !== undefined && { configId }) }
    const data: SessionView[] = []
    let next: string | null | undefined = cursor
    const deleted: string[] = []
    // A page may lose sessions whose chatbot is deleted and not yet purged; then the next stored page fills it up.
    do {
      const page: PageOf<Session> = await this.#repository.page(filter, deleted, { limit: limit - data.length, cursor: next })
      const configIds = [...new Set(page.data.map((session) => session.configId))]
      const living = await this.#chatbots.living(scope.tenantId, configIds)
      deleted.push(...configIds.filter((id) => !living.has(id)))
      data.push(...page.data.filter((session) => living.has(session.configId)).map(presentSession))
      next = page.nextCursor ?? null
    } while (data.length < limit && next !== null)
    return { data, nextCursor: next }
  }

  async get (principal: Principal, id: string): Promise<SessionView> {
    return presentSession(await this.require(sessionScope(principal, 'sessions:read'), id))
  }

  /** Throws `session_busy` where another branch is to be spoken on while the session answers a message. */
  async change (principal: Principal, id: string, { title, metadata, status, branchId }: SessionPatch): Promise<SessionView> {
    const scope = sessionScope(principal, 'sessions:write')
    const session = await this.require(scope, id)
    const data = {
      ...(title !== undefined && { title }),
      ...(metadata !== undefined && { metadata }),
      ...(status !== undefined && { status })
    }
    const set = { ...data, ...(title !== undefined && { titleFrom: [] }) }
    if (branchId !== undefined) return presentSession(await this.#switch(scope, session, branchId, data, set))
    if (Object.keys(data).length === 0) return presentSession(session)
    const change = { type: 'session.updated' as const, data, set }
    // Where somebody else has ended it meanwhile, that is told already.
    const changed = await this.#make(scope, session, change) ?? await this.#changes.make(scope, id, change)
    if (!changed) throw missing(id)
    return presentSession(changed)
  }

  /** Makes a change of a session as it was read, and tells outside where it ends. */
  async #make (
    scope: SessionScope, session: Session, change: RecordedChange & { readonly data: SessionUpdate }
  ): Promise<Session | undefined> {
    const { id, tenantId } = session
    const isEnd = change.data.status === 'ended' && session.status === 'active'
    const entry = isEnd ? this.#entry('session.ended', { ...session, ...change.data }) : undefined
    const changed = await this.#changes.make(scope, id, entry ? { ...change, guard: { ...change.guard, status: 'active' }, entry } : change)
    if (changed) this.#relay.push(this.#repository.outbox, id, tenantId, entry)
    return changed
  }

  /** What is told outside of what has become of a session. */
  #entry (type: 'session.started' | 'session.ended', session: Session): OutboxEntry | undefined {
    return this.#relay.entry(session.tenantId, type, () => ({ session: presentSession(session) }))
  }

  /** Goes on with another branch, from its last message. */
  async #switch (scope: SessionScope, session: Session, wanted: string, data: SessionUpdate, set: object): Promise<Session> {
    for (let attempt = 0, current = session; attempt < MAX_SWITCH_ATTEMPTS; attempt++) {
      const line = lineOf(current, wanted)
      const [tip] = await this.#messages.history(line, { limit: 1 })
      const { branchId } = line
      const changed = await this.#make(scope, current, {
        type: 'session.updated',
        data: { ...data, branchId },
        set: { ...set, branchId: branchId === null ? null : parseId(branchId)!, tipId: tip ? parseId(tip.id)! : null },
        guard: { rev: current.rev, turn: null }
      })
      if (changed) return changed
      current = await this.require(scope, session.id)
      if (current.turn) break
    }
    throw new ApiError('session_busy', { headers: { 'retry-after': '1' } })
  }

  /** A session within `scope` whose chatbot lives. Throws `not_found`. */
  async require (scope: SessionScope, id: string): Promise<Session> {
    const session = await this.#repository.find(scope, id)
    if (!session) throw missing(id)
    const living = await this.#chatbots.living(scope.tenantId, [session.configId])
    if (!living.has(session.configId)) throw missing(id)
    return session
  }

  /** A message of such a session. Throws `not_found`. */
  async requireMessage (scope: SessionScope, id: string, messageId: string): Promise<{ session: Session, message: Message }> {
    const [session, message] = await Promise.all([this.require(scope, id), this.#messages.find(id, messageId)])
    if (!message || message.seq <= session.clearedSeq) {
      throw new ApiError('not_found', { detail: `There is no message ${messageId} in this session.` })
    }
    return { session, message }
  }

  /** Those of some messages that are still there for a reader: neither they, nor what they are in, have been deleted. */
  async readable (scope: SessionScope, messages: readonly Message[]): Promise<Message[]> {
    const isThere = await this.presence(scope, messages)
    return messages.filter((message) => message.status !== 'deleted' && isThere(message))
  }

  /** Tells whether a place that is among `places` has been neither cleared nor deleted with what it is in. */
  async presence (scope: SessionScope, places: readonly Place[]): Promise<(place: Place) => boolean> {
    const [clearedSeqs, living] = await Promise.all([
      this.#repository.clearedSeqs(scope, [...new Set(places.map(({ sessionId }) => sessionId))]),
      this.#chatbots.living(scope.tenantId, [...new Set(places.map(({ configId }) => configId))])
    ])
    return ({ sessionId, configId, seq = Infinity }) => seq > (clearedSeqs.get(sessionId) ?? Infinity) && living.has(configId)
  }

  /** The chatbot that a new session is to talk to, in the version that it is to keep to. */
  async #chatbotFor (tenantId: string, { configId, configVersion }: SessionInput): Promise<Chatbot> {
    if (configVersion === undefined) return await this.#chatbots.require(tenantId, configId)
    const pinned = await this.#chatbots.find(tenantId, configId, configVersion)
    if (pinned) return pinned
    await this.#chatbots.require(tenantId, configId)
    throw new ApiError('validation_failed', {
      detail: `The configuration has no version ${configVersion}.`,
      members: { errors: [{ path: '/configVersion', message: 'must be a version of the configuration' }] }
    })
  }
}
