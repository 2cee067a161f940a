import { randomBytes } from 'node:crypto'
import {
  type Integration as IntegrationView, type IntegrationInput, type IntegrationPatch, type IntegrationRotation, type IssuedIntegration
} from '../../schemas/integration.ts'
import { type Principal } from '../auth/principal.ts'
import { Recall } from '../auth/recall.ts'
import { type Chatbots } from '../chatbots/chatbots.ts'
import { ApiError } from '../errors.ts'
import { reencrypt } from '../secrets/reencryption.ts'
import { type Secrets } from '../secrets/secrets.ts'
import { type ConversationRepository } from '../store/conversations.ts'
import { newId } from '../store/ids.ts'
import { type InboundMessageRepository } from '../store/inbound-messages.ts'
import { type HmacPlace, type Integration, type IntegrationRepository, sealedFields } from '../store/integrations.ts'
import { type PageOf, type PageRequest } from '../store/page.ts'
import { standardKey } from './signatures/standard.ts'

const MAX_INTEGRATIONS = 100
const OVERLAP_SECONDS = 86_400

/** An integration whose secrets are not sealed. */
export interface OpenIntegration extends Integration {
  readonly isOpen: true
}

/** The secrets that count at a time, the newest first. */
export function secretsAt ({ secret, previous }: OpenIntegration, now: number): string[] {
  return previous && previous.until.getTime() > now ? [secret, previous.secret] : [secret]
}

const missing = (id: string) => new ApiError('not_found', { detail: `There is no integration ${id}.` })

const wrong = (path: string, message: string) =>
  new ApiError('validation_failed', { detail: `${path} ${message}.`, members: { errors: [{ path, message }] } })

/** An integration as clients see it. */
function present ({ id, tenantId: _t, secret: _s, previous, verifyToken, createdAt, updatedAt, ...rest }: Integration): IntegrationView {
  return {
    id,
    ...rest,
    url: `/api/webhook/${id}`,
    hasVerifyToken: verifyToken !== null,
    previousSecretUntil: previous && previous.until.getTime() > Date.now() ? previous.until.toISOString() : null,
    createdAt: createdAt.toISOString(),
    updatedAt: updatedAt.toISOString()
  }
}

/** Where a plain HMAC is, with every default filled in. */
const hmacPlace = ({ header = 'x-signature', encoding = 'hex', prefix = '' }: Partial<HmacPlace> = {}): HmacPlace => ({ header, encoding, prefix })

/** A secret to sign with, as the scheme writes it. */
function secretFor (scheme: Integration['scheme'], given: string | undefined): string {
  if (scheme !== 'standard') return given ?? randomBytes(32).toString('hex')
  if (given !== undefined && !standardKey(given)) throw wrong('/secret', 'must be 24 to 64 bytes in base64, with or without whsec_ before it')
  return given ?? `whsec_${randomBytes(32).toString('base64')}`
}

interface Dependencies {
  readonly repository: IntegrationRepository
  readonly inbound: InboundMessageRepository
  readonly conversations: ConversationRepository
  readonly chatbots: Chatbots
  /** Undefined: secrets cannot be kept here. */
  readonly secrets: Secrets | undefined
}

/** The integrations of a tenant: making, changing and ending them, and giving them other secrets. */
export class Integrations {
  readonly #deps: Dependencies
  readonly #recent: Recall<OpenIntegration | undefined>

  constructor (deps: Dependencies) {
    this.#deps = deps
    this.#recent = new Recall(async (id) => {
      const found = await deps.repository.findById(id)
      return found && this.#opened(found)
    })
  }

  /** Throws `conflict` where the tenant has as many as it may. */
  async create ({ tenantId }: Principal, input: IntegrationInput): Promise<IssuedIntegration> {
    const { scheme = 'standard', hmac, verifyToken, mapping = null, enabled = true, channel = 'webhook', sessionIdleMinutes = 1440 } = input
    if (hmac && scheme !== 'hmac') throw wrong('/hmac', 'is for the scheme hmac only')
    const secret = secretFor(scheme, input.secret)
    await this.#requireConfig(tenantId, input.configId)
    const id = newId()
    const now = new Date()
    const integration: Integration = {
      id,
      tenantId,
      name: input.name,
      configId: input.configId,
      scheme,
      hmac: scheme === 'hmac' ? hmacPlace(hmac) : null,
      secret: this.#seal(secret, tenantId, 'secret', id),
      previous: null,
      verifyToken: verifyToken === undefined ? null : this.#seal(verifyToken, tenantId, 'verifyToken', id),
      enabled,
      channel,
      mapping,
      sessionIdleMinutes,
      createdAt: now,
      updatedAt: now
    }
    if (!await this.#deps.repository.insert(integration, MAX_INTEGRATIONS)) {
      throw new ApiError('conflict', { detail: `The tenant has ${MAX_INTEGRATIONS} integrations; delete some first.` })
    }
    return { ...present(integration), secret }
  }

  /** The newest first. */
  async list (tenantId: string, request: PageRequest): Promise<PageOf<IntegrationView>> {
    const { data, nextCursor } = await this.#deps.repository.page(tenantId, request)
    return { data: data.map(present), nextCursor }
  }

  async get (tenantId: string, id: string): Promise<IntegrationView> {
    return present(await this.#require(tenantId, id))
  }

  /** Counts here at once, on other replicas within five seconds. */
  async change ({ tenantId }: Principal, id: string, patch: IntegrationPatch): Promise<IntegrationView> {
    const { hmac, verifyToken, ...rest } = patch
    const current = await this.#require(tenantId, id)
    if (hmac && !current.hmac) throw wrong('/hmac', 'is for the scheme hmac only')
    if (patch.configId !== undefined) await this.#requireConfig(tenantId, patch.configId)
    const changed = await this.#deps.repository.change(tenantId, id, {
      ...rest,
      ...(hmac && { hmac: hmacPlace({ ...current.hmac, ...hmac }) }),
      ...(verifyToken !== undefined && { verifyToken: verifyToken && this.#seal(verifyToken, tenantId, 'verifyToken', id) })
    }, new Date())
    this.#recent.forget(id)
    if (!changed) throw missing(id)
    return present(changed)
  }

  /** Another secret, the sender's or one that is made. The one before it counts until the overlap ends. */
  async rotate ({ tenantId }: Principal, id: string, { secret: given, overlapSeconds = OVERLAP_SECONDS }: IntegrationRotation): Promise<IssuedIntegration> {
    const { scheme } = await this.#require(tenantId, id)
    const secret = secretFor(scheme, given)
    const until = new Date(Date.now() + overlapSeconds * 1000)
    const rotated = await this.#deps.repository.rotate(tenantId, id, this.#seal(secret, tenantId, 'secret', id), until, new Date())
    this.#recent.forget(id)
    if (!rotated) throw missing(id)
    return { ...present(rotated), secret }
  }

  /** Nothing more is taken, and what is not answered yet is not going to be. The sessions stay. */
  async delete ({ tenantId }: Principal, id: string): Promise<void> {
    const { repository, inbound, conversations } = this.#deps
    await this.#require(tenantId, id)
    // First, so that whoever is asked again after a crash finds that there is something to do.
    await Promise.all([inbound.removeOfIntegration(tenantId, id), conversations.removeOfIntegration(tenantId, id)])
    await repository.delete(tenantId, id)
    this.#recent.forget(id)
  }

  /** One of whatever tenant, as it was a moment ago. */
  async recall (id: string): Promise<OpenIntegration | undefined> {
    return await this.#recent.get(id)
  }

  /** One of the tenant's, as it is now. */
  async open (tenantId: string, id: string): Promise<OpenIntegration> {
    return this.#opened(await this.#require(tenantId, id))
  }

  /** Seals with the newest key what older ones have sealed. */
  async reencrypt (): Promise<void> {
    const { secrets, repository } = this.#deps
    if (!secrets) return
    for (const path of Object.keys(sealedFields) as Array<keyof typeof sealedFields>) await reencrypt(secrets, repository.sealedField(path))
  }

  #opened ({ secret, previous, verifyToken, ...integration }: Integration): OpenIntegration {
    const { tenantId, id } = integration
    const open = (sealed: string, field: 'secret' | 'verifyToken') =>
      this.#secrets().open(sealed, { tenantId, field: sealedFields[field], documentId: id })
    return {
      ...integration,
      secret: open(secret, 'secret'),
      previous: previous && { ...previous, secret: open(previous.secret, 'secret') },
      verifyToken: verifyToken === null ? null : open(verifyToken, 'verifyToken'),
      isOpen: true
    }
  }

  #seal (text: string, tenantId: string, field: 'secret' | 'verifyToken', id: string): string {
    return this.#secrets().seal(text, { tenantId, field: sealedFields[field], documentId: id })
  }

  #secrets (): Secrets {
    const { secrets } = this.#deps
    if (!secrets) throw new ApiError('conflict', { detail: 'This server has no ENCRYPTION_KEYS, so it cannot keep the secret of an integration.' })
    return secrets
  }

  async #require (tenantId: string, id: string): Promise<Integration> {
    const found = await this.#deps.repository.find(tenantId, id)
    if (!found) throw missing(id)
    return found
  }

  async #requireConfig (tenantId: string, configId: string): Promise<void> {
    await this.#deps.chatbots.require(tenantId, configId)
  }
}
