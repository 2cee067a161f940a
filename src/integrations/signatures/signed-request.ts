/** A request as it came: the names of its headers are in lower case. */
export interface SignedRequest {
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly body: Buffer
}

/** What a request claims: the signatures that it shows, and what they are to be signatures of. */
export interface Claim {
  /** HMAC-SHA256 of these, one after the other. */
  readonly signed: ReadonlyArray<Buffer | string>
  /** Any one of these is enough. */
  readonly signatures: readonly string[]
  /** How a signature is written; `prefix` stands before it. */
  readonly encoding: 'hex' | 'base64'
  readonly prefix: string
  /** When it was signed, in seconds. Absent: the scheme does not say. */
  readonly timestamp?: number
}

export const refusalReasons = ['missing_header', 'malformed_header', 'timestamp_too_old', 'timestamp_too_new', 'no_match'] as const

export type RefusalReason = typeof refusalReasons[number]

/** Why a request is not what it claims. */
export interface Refusal {
  readonly reason: RefusalReason
  readonly detail: string
}

/** How senders of one kind sign. */
export interface Scheme {
  /** The key that a secret stands for. */
  keyOf (secret: string): Buffer
  /** What a request claims, before anything is checked. */
  claimOf (request: SignedRequest): Claim | Refusal
}

export const missing = (name: string): Refusal => ({ reason: 'missing_header', detail: `The header ${name} is missing.` })

export const malformed = (name: string, expected: string): Refusal => ({
  reason: 'malformed_header', detail: `The header ${name} is not ${expected}.`
})

/** A header that must be there once. */
export function headerOf ({ headers }: SignedRequest, name: string): string | undefined {
  const value = headers[name]
  return typeof value === 'string' && value !== '' ? value : undefined
}

/** Seconds since 1970, in plain digits. */
export function secondsIn (text: string): number | undefined {
  return /^\d{1,12}$/.test(text) ? Number(text) : undefined
}

/** A key that is the characters of the secret. */
export const plainKey = (secret: string) => Buffer.from(secret, 'utf8')
