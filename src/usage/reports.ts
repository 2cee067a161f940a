import { type Usage, type UsageQuery } from '../../schemas/usage.ts'
import { ApiError } from '../errors.ts'
import { wrongCursor } from '../store/page.ts'
import { type Store } from '../store/store.ts'
import { type UsageFilter, type UsageGroup, usageGroups, type UsageSum } from '../store/usage-events.ts'

const DAY_MS = 86_400_000
const MAX_DAYS = 366
// One command sums up so much at most: it may hold up others on the embedded store.
const SLICE_MS = 7 * DAY_MS
const MAX_GROUPS = 100_000

type Row = Usage['data'][number]
type Sums = Omit<UsageSum, 'group'>

const wrong = (path: string, message: string) => new ApiError('validation_failed', {
  detail: `The query does not fit: ${path} ${message}.`, members: { errors: [{ path, message }] }
})

function rangeOf ({ from, to }: UsageQuery): { from: Date, to: Date } {
  const end = to === undefined ? new Date() : new Date(to)
  const begin = from === undefined ? new Date(Date.UTC(end.getUTCFullYear(), end.getUTCMonth())) : new Date(from)
  if (begin > end) throw wrong('/to', 'must not be before from')
  if (end.getTime() - begin.getTime() > MAX_DAYS * DAY_MS) throw wrong('/to', `must be at most ${MAX_DAYS} days after from`)
  return { from: begin, to: end }
}

function offsetOf (cursor: string | undefined): number {
  if (cursor === undefined) return 0
  const [, offset] = /^row:(\d{1,6})$/.exec(Buffer.from(cursor, 'base64url').toString('latin1')) ?? []
  if (offset === undefined) throw wrongCursor()
  return Number(offset)
}

const cursorOf = (offset: number) => Buffer.from(`row:${offset}`).toString('base64url')

function sumOf (a: Sums, b: Sums): Sums {
  return {
    messages: a.messages + b.messages,
    promptTokens: a.promptTokens + b.promptTokens,
    completionTokens: a.completionTokens + b.completionTokens,
    cachedTokens: a.cachedTokens + b.cachedTokens,
    microUsd: a.microUsd + b.microUsd
  }
}

/** Sums of the ledger, for those who pay. */
export class UsageReports {
  readonly #store: Pick<Store, 'usageEvents' | 'usagePeople'>

  constructor (store: Pick<Store, 'usageEvents' | 'usagePeople'>) {
    this.#store = store
  }

  /** Throws `validation_failed` for a range that is too long, and for too many rows to be told apart. */
  async sums (tenantId: string, query: UsageQuery): Promise<Usage> {
    const { from, to } = rangeOf(query)
    const offset = offsetOf(query.cursor)
    const wanted = new Set<string>(query.groupBy?.split(','))
    const groupBy = usageGroups.filter((name) => wanted.has(name))
    const filter = await this.#filter(tenantId, query)
    const found = filter ? await this.#sumUp({ ...filter, from, to }, groupBy) : []
    const shown = found.slice(offset, offset + query.limit)
    const users = new Set(shown.map(({ group }) => group.user).filter((user) => typeof user === 'string'))
    const names = await this.#store.usagePeople.known(tenantId, [...users])
    return {
      from: from.toISOString(),
      to: to.toISOString(),
      groupBy,
      data: shown.map((sum) => present(sum, names)),
      nextCursor: offset + shown.length < found.length ? cursorOf(offset + shown.length) : null
    }
  }

  /** Undefined: nothing can be meant. */
  async #filter (tenantId: string, { configId, userId, keyId, model }: UsageQuery): Promise<Omit<UsageFilter, 'from'> | undefined> {
    const user = userId === undefined ? undefined : await this.#store.usagePeople.find({ tenantId, userId })
    if (userId !== undefined && user === undefined) return undefined
    return {
      tenantId,
      ...(configId !== undefined && { configId }),
      ...(user !== undefined && { user }),
      ...(keyId !== undefined && { keyId }),
      ...(model !== undefined && { model })
    }
  }

  /** In the order of what the rows are told apart by. */
  async #sumUp (filter: UsageFilter & { to: Date }, groupBy: readonly UsageGroup[]): Promise<UsageSum[]> {
    const sums = new Map<string, UsageSum>()
    for (let from = filter.from; from < filter.to; from = new Date(from.getTime() + SLICE_MS)) {
      const to = new Date(Math.min(from.getTime() + SLICE_MS, filter.to.getTime()))
      for (const { group, ...more } of await this.#store.usageEvents.sums({ ...filter, from, to }, groupBy)) {
        const key = JSON.stringify(groupBy.map((name) => group[name]))
        const known = sums.get(key)
        sums.set(key, { group, ...(known ? sumOf(known, more) : more) })
      }
      if (sums.size > MAX_GROUPS) throw wrong('/groupBy', `gives more than ${MAX_GROUPS} rows; ask for less`)
    }
    return [...sums].sort(([a], [b]) => a < b ? -1 : 1).map(([, sum]) => sum)
  }
}

function present ({ group, microUsd, ...counts }: UsageSum, names: ReadonlyMap<string, string>): Row {
  const { day, config, user, key, model } = group
  return {
    ...(typeof day === 'string' && { day }),
    ...(config !== undefined && { configId: config }),
    ...(user !== undefined && { userId: user === null ? null : names.get(user) ?? null }),
    ...(key !== undefined && { keyId: key }),
    ...(typeof model === 'string' && { model }),
    ...counts,
    totalTokens: counts.promptTokens + counts.completionTokens,
    costUsd: microUsd / 1e6
  }
}
