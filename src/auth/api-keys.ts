import { type ApiKey as ApiKeyView, type ApiKeyInput, type ApiKeyRotation, type IssuedApiKey } from '../../schemas/api-key.ts'
import { ApiError } from '../errors.ts'
import { type ApiKey, type ApiKeyRepository } from '../store/api-keys.ts'
import { type PageOf, type PageRequest } from '../store/page.ts'
import { type ApiKeyVerifier } from './api-key-verifier.ts'
import { apiKeyPrefix, hashApiKey, newApiKey, newSecretFor } from './api-key.ts'
import { covers, type Principal } from './principal.ts'

const MAX_KEYS = 1000
const OVERLAP_SECONDS = 3600

const missing = (id: string) => new ApiError('not_found', { detail: `There is no API key ${id}.` })

const wrong = (path: string, message: string) =>
  new ApiError('validation_failed', { detail: `${path.slice(1)} ${message}.`, members: { errors: [{ path, message }] } })

const text = (date: Date | undefined) => date?.toISOString() ?? null

/** A key as clients see it. */
function present ({ id, prefix, name, scopes, requestsPerMinute, createdAt, createdBy, expiresAt, lastUsedAt, revokedAt }: ApiKey): ApiKeyView {
  return {
    id,
    prefix,
    name,
    scopes,
    requestsPerMinute: requestsPerMinute ?? null,
    createdAt: createdAt.toISOString(),
    createdBy: createdBy ?? null,
    expiresAt: text(expiresAt),
    lastUsedAt: text(lastUsedAt),
    revokedAt: text(revokedAt)
  }
}

interface ApiKeysOptions {
  readonly repository: ApiKeyRepository
  readonly verifier: ApiKeyVerifier
  /** What everybody has; 0: there is no limit. */
  readonly requestsPerMinute: number
}

/** The keys of a tenant: making them, giving them another secret, ending them. */
export class ApiKeys {
  readonly #repository: ApiKeyRepository
  readonly #verifier: ApiKeyVerifier
  readonly #requestsPerMinute: number

  constructor ({ repository, verifier, requestsPerMinute }: ApiKeysOptions) {
    this.#repository = repository
    this.#verifier = verifier
    this.#requestsPerMinute = requestsPerMinute
  }

  /** Throws `forbidden` for more than the caller may hand on. */
  async create (principal: Principal, { name, scopes, expiresAt, requestsPerMinute }: ApiKeyInput): Promise<IssuedApiKey> {
    const { tenantId } = principal
    const beyond = scopes.find((scope) => !covers(principal, scope))
    if (beyond !== undefined) throw new ApiError('forbidden', { detail: `Your credential does not cover ${beyond}, so its keys cannot, either.` })
    if (requestsPerMinute !== undefined) this.#requireMayHave(principal, requestsPerMinute)
    const ends = expiresAt === undefined ? undefined : new Date(expiresAt)
    if (ends && !(ends.getTime() > Date.now())) throw wrong('/expiresAt', 'must be a time to come')
    if (await this.#repository.countLiving(tenantId) >= MAX_KEYS) {
      throw new ApiError('conflict', { detail: `The tenant has ${MAX_KEYS} keys; revoke some first.` })
    }
    const key = newApiKey()
    const created = await this.#repository.insert({
      prefix: apiKeyPrefix(key)!,
      tenantId,
      name,
      scopes,
      createdAt: new Date(),
      createdBy: principal.account?.id ?? principal.keyId ?? principal.userId!,
      isGiven: false,
      ...(ends && { expiresAt: ends }),
      ...(requestsPerMinute !== undefined && { requestsPerMinute })
    }, hashApiKey(key))
    return { ...present(created), key }
  }

  /** The newest first. */
  async list (tenantId: string, page: PageRequest): Promise<PageOf<ApiKeyView>> {
    const { data, nextCursor } = await this.#repository.page(tenantId, page)
    return { data: data.map(present), nextCursor }
  }

  async get (tenantId: string, id: string): Promise<ApiKeyView> {
    const found = await this.#repository.find(tenantId, id)
    if (!found) throw missing(id)
    return present(found)
  }

  /** Another secret behind the same prefix. Throws `conflict` for a key that is revoked or given by the environment. */
  async rotate (principal: Principal, id: string, { overlapSeconds = OVERLAP_SECONDS }: ApiKeyRotation): Promise<IssuedApiKey> {
    const found = await this.#repository.find(principal.tenantId, id)
    if (!found) throw missing(id)
    this.#requireReach(principal, found)
    if (found.isGiven) throw new ApiError('conflict', { detail: 'This key is given by BOOTSTRAP_API_KEY; set another one there.' })
    const key = newSecretFor(found.prefix)
    const until = new Date(Date.now() + overlapSeconds * 1000)
    const rotated = await this.#repository.rotate(principal.tenantId, id, hashApiKey(key), until)
    if (!rotated) throw new ApiError('conflict', { detail: 'The key is revoked.' })
    this.#verifier.forget(rotated)
    return { ...present(rotated), key }
  }

  /** At once here, on other replicas within five seconds. */
  async revoke (principal: Principal, id: string): Promise<void> {
    const found = await this.#repository.find(principal.tenantId, id)
    if (!found) throw missing(id)
    this.#requireReach(principal, found)
    await this.#repository.revoke(principal.tenantId, id, new Date())
    this.#verifier.forget(found)
  }

  /** Who got hold of the secret of a key that covers more, or took it away from its holder, would have more than is theirs. */
  #requireReach (principal: Principal, { scopes }: ApiKey): void {
    if (scopes.includes('platform') && !covers(principal, 'platform')) {
      throw new ApiError('forbidden', { detail: 'The key covers platform; your credential does not.' })
    }
  }

  #requireMayHave (principal: Principal, requestsPerMinute: number): void {
    if (this.#requestsPerMinute === 0 || requestsPerMinute <= this.#requestsPerMinute || covers(principal, 'platform')) return
    throw new ApiError('forbidden', { detail: `More than ${this.#requestsPerMinute} requests per minute are given by a holder of platform.` })
  }
}
