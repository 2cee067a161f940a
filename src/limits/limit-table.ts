import { type Config } from '../config.ts'

const minute = { windowMs: 60_000, window: 'a minute' }
const quarter = { windowMs: 15 * 60_000, window: '15 minutes' }
const hour = { windowMs: 60 * 60_000, window: 'an hour' }
const day = { windowMs: 24 * 60 * 60_000, window: 'a day' }

// While the counts cannot be had, each process counts for itself, or nobody gets through.
const open = { whenAway: 'open' } as const
const closed = { whenAway: 'closed' } as const

const perAddress = { isPerAddress: true } as const

interface Limit {
  /** The variable that says how many. */
  readonly variable: Exclude<Extract<keyof Config, `RATE_LIMIT_${string}`>, 'RATE_LIMIT_STORE'>
  /** What is counted, in words that follow a number. */
  readonly counts: string
  readonly windowMs: number
  readonly window: string
  readonly whenAway: 'open' | 'closed'
  readonly isPerAddress?: true
}

/** Every limit. What a client may try out is closed while the counts are away: a guess must never be free. */
const limits = {
  token: { ...minute, ...open, variable: 'RATE_LIMIT_PER_MINUTE', counts: 'requests with this credential' },
  ip: { ...minute, ...open, ...perAddress, variable: 'RATE_LIMIT_IP', counts: 'requests without a valid credential from this address' },
  integration: { ...minute, ...open, variable: 'RATE_LIMIT_INTEGRATION', counts: 'deliveries of this integration' },
  'login-account': { ...quarter, ...closed, variable: 'RATE_LIMIT_LOGIN_ACCOUNT', counts: 'attempts to log in to this account' },
  'login-ip': { ...quarter, ...closed, ...perAddress, variable: 'RATE_LIMIT_LOGIN_IP', counts: 'attempts to log in from this address' },
  'provider-login-ip': {
    ...quarter, ...closed, ...perAddress, variable: 'RATE_LIMIT_PROVIDER_LOGIN_IP', counts: 'steps of logins at providers from this address'
  },
  'registration-ip': { ...hour, ...closed, ...perAddress, variable: 'RATE_LIMIT_REGISTRATION_IP', counts: 'registrations from this address' },
  'reset-account': { ...hour, ...closed, variable: 'RATE_LIMIT_RESET_ACCOUNT', counts: 'requests for mail to this account' },
  'reset-ip': { ...hour, ...closed, ...perAddress, variable: 'RATE_LIMIT_RESET_IP', counts: 'requests for mail from this address' },
  'visitor-session': { ...quarter, ...open, variable: 'RATE_LIMIT_VISITOR_SESSION', counts: 'messages in this session' },
  'visitor-day': { ...day, ...open, variable: 'RATE_LIMIT_VISITOR_DAY', counts: 'messages of this visitor' },
  'visitor-ip': { ...quarter, ...open, ...perAddress, variable: 'RATE_LIMIT_VISITOR_IP', counts: 'messages of visitors from this address' }
} as const satisfies Record<string, Limit>

export type LimitName = keyof typeof limits

export const limitTable: Readonly<Record<LimitName, Limit>> = limits

/** How many a limit allows; 0: it is off. Who has no credential may do as much as who has one, unless told otherwise. */
export function maxOf (name: LimitName, config: Config): number {
  return config[limitTable[name].variable] ?? config.RATE_LIMIT_PER_MINUTE
}
