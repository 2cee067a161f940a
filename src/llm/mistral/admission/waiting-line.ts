/** What the order depends on. */
export interface Waiting {
  readonly tenantId: string
  /** It has had a turn before, so it arrived before all that are new. */
  readonly returning: boolean
}

interface TenantLine<T> {
  // Sets keep the order of arrival, and one who leaves need not be looked for.
  readonly returning: Set<T>
  readonly fresh: Set<T>
}

/** Those who wait. Tenants take turns; within a tenant, who came first is first. */
export class WaitingLine<T extends Waiting> {
  /** The tenant whose turn is next comes first. */
  readonly #tenants = new Map<string, TenantLine<T>>()
  #size = 0

  get size (): number {
    return this.#size
  }

  add (waiter: T): void {
    let line = this.#tenants.get(waiter.tenantId)
    if (line === undefined) this.#tenants.set(waiter.tenantId, line = { returning: new Set(), fresh: new Set() })
    placeOf(line, waiter).add(waiter)
    this.#size++
  }

  delete (waiter: T): void {
    const line = this.#tenants.get(waiter.tenantId)
    if (line === undefined || !placeOf(line, waiter).delete(waiter)) return
    this.#size--
    if (line.returning.size + line.fresh.size === 0) this.#tenants.delete(waiter.tenantId)
  }

  /** Takes out the next one that may go; its tenant's next turn is after everybody else's. */
  take (mayGo: (waiter: T) => boolean): T | undefined {
    for (const [tenantId, line] of this.#tenants) {
      const waiter = first(line.returning, mayGo) ?? first(line.fresh, mayGo)
      if (waiter === undefined) continue
      this.#tenants.delete(tenantId)
      this.#tenants.set(tenantId, line)
      this.delete(waiter)
      return waiter
    }
    return undefined
  }

  /** All of whom this is true, in no order. */
  filter (isWanted: (waiter: T) => boolean): T[] {
    return [...this.#tenants.values()].flatMap(({ returning, fresh }) => [...returning, ...fresh].filter(isWanted))
  }
}

function placeOf<T extends Waiting> (line: TenantLine<T>, { returning }: T): Set<T> {
  return returning ? line.returning : line.fresh
}

function first<T> (waiters: Set<T>, isWanted: (waiter: T) => boolean): T | undefined {
  for (const waiter of waiters) if (isWanted(waiter)) return waiter
  return undefined
}
