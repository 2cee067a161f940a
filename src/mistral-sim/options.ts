import { systemClock, type Clock } from './clock.ts'
import { type ProblemShape } from './errors/api-failure.ts'
import { type RequestRecord } from './http/recording.ts'
import { DEFAULT_CADENCE, type Cadence } from './http/cadence.ts'
import { type Limits } from './limiter/limits.ts'
import { fourBytesAToken, type Tokenizer } from './replies/usage.ts'

/** How a simulator is set up; everything may be absent. */
export interface SimOptions {
  /** 0, the default: a free port. */
  port?: number
  /** The keys that are taken; absent: every bearer token is. */
  keys?: string[]
  /** Keys whose plan is exhausted: 401 in another form. */
  quotaKeys?: string[]
  /** Models that are answered with "currently not in use". */
  notInUse?: string[]
  /** Context windows in tokens by model id, over the known ones. */
  windows?: Record<string, number>
  /** What each key may do with each model; absent: no limit. */
  limits?: Limits
  /** Form of the 422, default `detail`. */
  problemShape?: ProblemShape
  /** `created` of the first reply, in seconds; it counts up from there. */
  epoch?: number
  tokenizer?: Tokenizer
  cadence?: Partial<Cadence>
  /** Opens the routes under /__sim/. */
  control?: boolean
  /** Lets the header `x-sim-fault` of a request choose its fault. */
  headerFaults?: boolean
  /** Decides the random faults of the script, default 1. */
  seed?: number
  /** True: `close()` rejects when a request had schema errors. A function: says which of them were meant. */
  strict?: boolean | ((record: RequestRecord) => boolean)
  clock?: Clock
}

/** The options with every default filled in. */
export type Settings = Required<Omit<SimOptions, 'keys' | 'cadence'>> & {
  keys: string[] | null
  cadence: Cadence
}

// The second of the reply that was recorded for the shape of the stream.
const DEFAULT_EPOCH = 1769088720

/** Fills in the defaults. */
export function settingsOf (options: SimOptions): Settings {
  return {
    port: 0,
    quotaKeys: [],
    notInUse: [],
    windows: {},
    problemShape: 'detail',
    epoch: DEFAULT_EPOCH,
    tokenizer: fourBytesAToken,
    limits: {},
    control: false,
    headerFaults: false,
    seed: 1,
    strict: false,
    clock: systemClock,
    ...options,
    keys: options.keys ?? null,
    cadence: { ...DEFAULT_CADENCE, ...options.cadence }
  }
}
