/** What the order depends on. */
export interface Waiting {
  readonly tenantId: string
  /** From 1: how often it has been in the line. */
  readonly attempt: number
}

/** One queue for each attempt. Sets keep the order of arrival, and one who leaves need not be looked for. */
type TenantLine<T> = Array<Set<T>>

/**
 * Those who wait. Tenants take turns; within a tenant, who came first is first, and who is back for another attempt came
 * before those who are new.
 */
export class WaitingLine<T extends Waiting> {
  /** The tenant whose turn is next comes first. */
  readonly #tenants = new Map<string, TenantLine<T>>()
  #size = 0

  get size (): number {
    return this.#size
  }

  add (waiter: T): void {
    const line = this.#tenants.get(waiter.tenantId) ?? []
    const queue = line[waiter.attempt] ??= new Set()
    queue.add(waiter)
    this.#tenants.set(waiter.tenantId, line)
    this.#size++
  }

  delete (waiter: T): void {
    const line = this.#tenants.get(waiter.tenantId)
    if (line?.[waiter.attempt]?.delete(waiter) !== true) return
    this.#size--
    if (line.every(({ size }) => size === 0)) this.#tenants.delete(waiter.tenantId)
  }

  /** Takes out the next one that may go; its tenant's next turn is after everybody else's. */
  take (mayGo: (waiter: T) => boolean): T | undefined {
    for (const [tenantId, line] of this.#tenants) {
      const waiter = firstOf(line, mayGo)
      if (waiter === undefined) continue
      this.#tenants.delete(tenantId)
      this.#tenants.set(tenantId, line)
      this.delete(waiter)
      return waiter
    }
    return undefined
  }

  /** The last to have come of the tenant with the most newcomers, when those are more than this tenant would have. */
  surplus (tenantId: string): T | undefined {
    const own = this.#tenants.get(tenantId)?.[1]?.size ?? 0
    let longest: Set<T> | undefined
    for (const [, newcomers] of this.#tenants.values()) {
      if (newcomers !== undefined && newcomers.size > (longest?.size ?? own + 1)) longest = newcomers
    }
    return longest && [...longest].at(-1)
  }

  /** All of whom this is true, in no order. */
  filter (isWanted: (waiter: T) => boolean): T[] {
    return [...this.#tenants.values()].flat().flatMap((queue) => [...queue].filter(isWanted))
  }
}

function firstOf<T> (line: TenantLine<T>, isWanted: (waiter: T) => boolean): T | undefined {
  for (let attempt = line.length - 1; attempt > 0; attempt--) {
    for (const waiter of line[attempt] ?? []) if (isWanted(waiter)) return waiter
  }
  return undefined
}
