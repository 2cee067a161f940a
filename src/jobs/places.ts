import { growingCache } from '../growing-cache.ts'

export interface PlaceLimits {
  readonly atOnce: number
  readonly atOncePerOwner: number
  readonly atOncePerGroup: number
  /** Places apart for jobs that have taken this long and for groups that had such. Unset: no job is called slow. */
  readonly slow?: SlowLimits
}

export interface SlowLimits {
  readonly afterMs: number
  readonly atOnce: number
  readonly atOncePerOwner: number
}

// Of a group that is doubted: while one hangs, another one finds out whether it is any better.
const DOUBTED_AT_ONCE = 2
const KNOWN_GROUPS = 10_000

const ownerOf = (group: string) => group.slice(0, group.lastIndexOf('/') + 1)

/** How much is being done, by name. */
class Counts {
  readonly #counts = new Map<string, number>()
  total = 0

  of (name: string): number {
    return this.#counts.get(name) ?? 0
  }

  add (name: string, change: 1 | -1): void {
    const count = this.of(name) + change
    if (count > 0) this.#counts.set(name, count)
    else this.#counts.delete(name)
    this.total += change
  }
}

/** Places of a kind, of which each owner has a share. */
class Lane {
  readonly #atOnce: number
  readonly #atOncePerOwner: number
  readonly #owners = new Counts()

  constructor ({ atOnce, atOncePerOwner }: Pick<PlaceLimits, 'atOnce' | 'atOncePerOwner'>) {
    this.#atOnce = atOnce
    this.#atOncePerOwner = atOncePerOwner
  }

  enter (group: string): boolean {
    const owner = ownerOf(group)
    if (this.#owners.total >= this.#atOnce || this.#owners.of(owner) >= this.#atOncePerOwner) return false
    this.#owners.add(owner, 1)
    return true
  }

  leave (group: string): void {
    this.#owners.add(ownerOf(group), -1)
  }
}

/** The place of one job. */
export interface Place {
  readonly group: string
  lane: Lane
  isSlow: boolean
}

/**
 * Who may do how much at once. What takes long must not hold up what does not: a job that has taken a while moves to a place
 * among the slow ones, and leaves its own to others. From then on its group is doubted, which means two places and no quick one,
 * until a job of it ends well. Where that one was slow, too, the group has all its places again, but among the slow ones.
 *
 * What is known of groups is known to this process only, and what it forgets it finds out again in a moment.
 */
export class Places {
  readonly #limits: PlaceLimits
  readonly #quick: Lane
  readonly #slow: Lane | undefined
  readonly #groups = new Counts()
  /** Groups that are not quick. */
  readonly #known = growingCache<'slow' | 'doubted'>(KNOWN_GROUPS)

  constructor (limits: PlaceLimits) {
    this.#limits = limits
    this.#quick = new Lane(limits)
    this.#slow = limits.slow && new Lane(limits.slow)
  }

  /** Undefined: there is none for this group now. */
  take (group: string): Place | undefined {
    const known = this.#known.get(group)
    const { atOncePerGroup } = this.#limits
    const most = known === 'doubted' ? Math.min(DOUBTED_AT_ONCE, atOncePerGroup) : atOncePerGroup
    if (this.#groups.of(group) >= most) return undefined
    const lane = known && this.#slow ? this.#slow : this.#quick
    if (!lane.enter(group)) return undefined
    this.#groups.add(group, 1)
    return { group, lane, isSlow: false }
  }

  /** Its job takes long. Where the slow ones have no room, it keeps the place that it has. */
  slow (place: Place): void {
    place.isSlow = true
    this.#known.set(place.group, 'doubted')
    if (!this.#slow || place.lane === this.#slow || !this.#slow.enter(place.group)) return
    this.#quick.leave(place.group)
    place.lane = this.#slow
  }

  leave ({ group, lane }: Place): void {
    lane.leave(group)
    this.#groups.add(group, -1)
  }

  /** The job of a place has ended well. */
  endedWell ({ group, isSlow }: Place): void {
    if (isSlow) this.#known.set(group, 'slow')
    else this.#known.delete(group)
  }
}
