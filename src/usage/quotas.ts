import { ApiError } from '../errors.ts'
import { type Log } from '../chat/turn-runner.ts'
import { type PromptMessage } from '../llm/provider.ts'
import { mostPromptTokens } from '../llm/usage.ts'
import {
  type Amount, beginOfDay, beginOfMonth, type Counter, periodOf, type QuotaCounterRepository, unitOf
} from '../store/quota-counters.ts'
import { type LimitName, limitNames, type Limits } from '../store/quota-settings.ts'
import { type UsageEventRepository } from '../store/usage-events.ts'
import { type Relay } from '../webhooks/relay.ts'
import { type Payer, type Pseudonyms } from './payers.ts'
import { type QuotaBook } from './quota-book.ts'

/** Tokens that a reply may have where tokens are limited and the chatbot does not say how many. */
const DEFAULT_REPLY_TOKENS = 4096
/** Where fewer are left for a reply, it is not begun. */
const LEAST_REPLY_TOKENS = 256
const MAX_ATTEMPTS = 20
const WARN_SHARE = 0.8

/** What a model is to be asked. */
export interface Demand {
  /** Names the reservation. */
  readonly id: string
  readonly prompt: readonly PromptMessage[]
  readonly maxTokens: number | undefined
  /** How many messages it counts as. */
  readonly messages: 0 | 1
}

/** Leave to ask a model, within bounds. */
export interface Grant {
  readonly id: string
  /** Who has it reserved. */
  readonly subjects: readonly string[]
  /** Of the reply. */
  readonly maxTokens?: number
  /** Of all attempts together. */
  readonly budgetTokens?: number
}

type Kind = 'tenant' | 'user' | 'key'

interface Subject {
  readonly id: string
  readonly kind: Kind
  /** The end user, or the key. */
  readonly named: { readonly userId?: string, readonly keyId?: string }
  readonly limits: Limits
}

interface Dependencies {
  readonly book: QuotaBook
  readonly counters: QuotaCounterRepository
  readonly events: UsageEventRepository
  readonly pseudonyms: Pseudonyms
  readonly relay: Relay
  readonly log: Log
  /** How long anything may run that was given leave. */
  readonly ttlMs: number
}

const isLimited = (limits: Limits) => limitNames.some((name) => limits[name])

const subjectId = (kind: Kind, tenantId: string, name: string) => kind === 'tenant' ? `tenant:${tenantId}` : `${kind}:${name}:${tenantId}`

/** All whose quotas something may count against. */
export function subjectsOf ({ tenantId, keyId }: Payer, user: string | null): string[] {
  return [
    subjectId('tenant', tenantId, ''),
    ...(user === null ? [] : [subjectId('user', tenantId, user)]),
    ...(keyId === null ? [] : [subjectId('key', tenantId, keyId)])
  ]
}

/** Sees to it that nobody uses more than their quota: what may be used is reserved before it is. */
export class Quotas {
  readonly #deps: Dependencies
  readonly #recounts = new Map<string, Promise<void>>()

  constructor (deps: Dependencies) {
    this.#deps = deps
  }

  /** Whether a tenant has any quota; known without asking. */
  isLimited (tenantId: string): boolean {
    return this.#deps.book.of(tenantId) !== undefined
  }

  /** Whether what somebody uses can be counted against a quota of their own, where they have one: it cannot where nothing is kept of them. */
  async isCounted (payer: Payer): Promise<boolean> {
    const quotas = this.#deps.book.of(payer.tenantId)
    if (!quotas || payer.userId === null || !isLimited(quotas.perUser)) return true
    return await this.#deps.pseudonyms.of(payer) !== null
  }

  /** Reserves what a model may use. Undefined: there is no limit. Throws `quota_exceeded` where too little is left. */
  async reserve (payer: Payer, demand: Demand): Promise<Grant | undefined> {
    const subjects = await this.#subjects(payer)
    if (subjects.length === 0) return undefined
    const prompt = mostPromptTokens(demand.prompt)
    const reply = demand.maxTokens ?? DEFAULT_REPLY_TOKENS
    const least = prompt + Math.min(reply, LEAST_REPLY_TOKENS)
    const grant = { id: demand.id, subjects: [] as string[] }
    // For the prompts of two attempts that come to nothing as well, if they are left.
    let tokens = 2 * prompt + reply
    for (const subject of subjects) {
      try {
        tokens = await this.#reserve(subject, payer.tenantId, { ...demand, tokens, least })
        grant.subjects.push(subject.id)
      } catch (error) {
        await this.release(grant)
        throw error
      }
    }
    const areTokensLimited = subjects.some(({ limits }) => limitNames.some((name) => limits[name] && unitOf(name) === 'tokens'))
    return areTokensLimited ? { ...grant, maxTokens: Math.min(reply, tokens - prompt), budgetTokens: tokens } : grant
  }

  /** Gives back what was reserved for nothing. */
  async release ({ id, subjects }: Grant): Promise<void> {
    const at = new Date()
    await this.#deps.counters.settle(subjects.map((subject) => ({ subject, id, at, tokens: 0, messages: 0 })))
  }

  async #subjects (payer: Payer): Promise<Subject[]> {
    const quotas = this.#deps.book.of(payer.tenantId)
    if (!quotas) return []
    const { tenant, perUser, perKey } = quotas
    const { tenantId, keyId } = payer
    const user = isLimited(perUser) ? await this.#deps.pseudonyms.of(payer) : null
    return [
      { id: subjectId('tenant', tenantId, ''), kind: 'tenant' as const, named: {}, limits: tenant },
      ...(user === null ? [] : [{ id: subjectId('user', tenantId, user), kind: 'user' as const, named: { userId: payer.userId! }, limits: perUser }]),
      ...(keyId === null ? [] : [{ id: subjectId('key', tenantId, keyId), kind: 'key' as const, named: { keyId }, limits: perKey }])
    ].filter(({ limits }) => isLimited(limits))
  }

  /** Answers how many tokens are reserved. */
  async #reserve (subject: Subject, tenantId: string, wish: Amount & { id: string, least: number }): Promise<number> {
    const { counters, ttlMs } = this.#deps
    const { id, tokens, messages, least } = wish
    for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
      const counter = await counters.reserve(subject.id, tenantId, { id, tokens, messages, least }, subject.limits, ttlMs)
      if (!counter.stale) {
        await this.#warn(counter, subject)
        const reservation = counter.reservations.find((reservation) => reservation.id === id)
        if (reservation) return reservation.tokens
        throw await this.#refuse(counter, subject, { tokens: least, messages })
      }
      await this.#recount(counter)
    }
    throw new ApiError('overloaded', { detail: 'What was used so far could not be found out.', headers: { 'retry-after': '1' } })
  }

  /** Sums up from the ledger what a subject has used, without what it still has reserved. */
  async #recount (counter: Counter): Promise<void> {
    const running = this.#recounts.get(counter._id)
    if (running) return await running
    const recount = this.#sumUp(counter).finally(() => this.#recounts.delete(counter._id))
    this.#recounts.set(counter._id, recount)
    await recount
  }

  async #sumUp (counter: Counter): Promise<void> {
    const { counters, events } = this.#deps
    const { _id, tenantId, day, month, reservations } = counter
    const [kind, name] = _id.split(':')
    const filter = {
      tenantId, from: beginOfMonth(month.period), ...(kind === 'user' && { user: name! }), ...(kind === 'key' && { keyId: name! })
    }
    const sums = await events.sums(filter, ['day'], reservations.map(({ id }) => id))
    const total = (found: typeof sums) => found.reduce<Amount>((sum, { promptTokens, completionTokens, messages }) => ({
      tokens: sum.tokens + promptTokens + completionTokens, messages: sum.messages + messages
    }), { tokens: 0, messages: 0 })
    const today = beginOfDay(day.period).toISOString().slice(0, 10)
    await counters.correct(counter, { day: total(sums.filter(({ group }) => group.day === today)), month: total(sums) })
  }

  /** Tells the log, once in a period, that little is left. */
  async #warn (counter: Counter, subject: Subject): Promise<void> {
    const { kind, limits } = subject
    for (const name of limitNames) {
      const [limit, { period, ...used }] = [limits[name], counter[periodOf(name)]]
      if (!limit || used[unitOf(name)] < limit * WARN_SHARE || counter.warned?.[name]?.period === period) continue
      if (!await this.#note('warned', counter, subject, name)) continue
      this.#deps.log.warn(
        { tenantId: counter.tenantId, subject: kind, quota: name, limit, used: used[unitOf(name)] }, 'most of a quota is used up'
      )
    }
  }

  /** Says which limit has too little left; of several, the one that lasts longest. That is told outside once in a period. */
  async #refuse (counter: Counter, subject: Subject, needed: Amount): Promise<ApiError> {
    const { kind, limits } = subject
    const left = (name: LimitName) => limits[name] - counter[periodOf(name)][unitOf(name)] - counter.held[unitOf(name)]
    const short = limitNames.filter((name) => limits[name] && left(name) < needed[unitOf(name)])
    const quota = short.findLast((name) => periodOf(name) === 'month') ?? short[0]
    // There are too many reservations: some of them end at any moment.
    if (!quota) return new ApiError('overloaded', { detail: 'Too many replies are being written.', headers: { 'retry-after': '1' } })
    const isKnown = counter.exceeded?.[quota]?.period === counter[periodOf(quota)].period
    if (!isKnown && this.#deps.relay.wants(counter.tenantId, 'quota.exceeded')) await this.#note('exceeded', counter, subject, quota)
    return refusal(counter, kind, quota, limits[quota])
  }

  /** Notes what has become of a limit, and tells it outside. False: it was noted before, in the same period. */
  async #note (what: 'warned' | 'exceeded', counter: Counter, { kind, named, limits }: Subject, quota: LimitName): Promise<boolean> {
    const { counters, relay } = this.#deps
    const { _id, tenantId } = counter
    const type = what === 'warned' ? 'quota.warning' : 'quota.exceeded'
    const entry = relay.entry(tenantId, type, () => ({
      quota,
      subject: kind,
      ...named,
      limit: limits[quota],
      used: counter[periodOf(quota)][unitOf(quota)],
      period: periodOf(quota),
      resetAt: resetOf(counter, quota).toISOString()
    }))
    const isNew = await counters.note(counter, what, quota, entry)
    if (isNew) relay.push(counters.outbox, _id, tenantId, entry)
    return isNew
  }
}

/** When the period of a limit is over. */
function resetOf (counter: Counter, quota: LimitName): Date {
  return periodOf(quota) === 'day' ? beginOfDay(counter.day.period + 1) : beginOfMonth(counter.month.period + 1)
}

function refusal (counter: Counter, kind: Kind, quota: LimitName, limit: number): ApiError {
  const period = periodOf(quota)
  const resetAt = resetOf(counter, quota)
  const used = counter[period][unitOf(quota)]
  const whose = { tenant: 'tenant', user: 'end user', key: 'API key' }[kind]
  return new ApiError('quota_exceeded', {
    detail: `The ${whose}'s quota of ${unitOf(quota)} per ${period} is used up, or held by replies that are being written.`,
    headers: { 'retry-after': String(Math.max(1, Math.ceil((resetAt.getTime() - Date.now()) / 1000))) },
    members: { quota: { name: quota, subject: kind, limit, used, resetAt: resetAt.toISOString() } }
  })
}
