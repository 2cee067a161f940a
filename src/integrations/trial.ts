import { type WebhookTrial, type WebhookTrialResult } from '../../schemas/webhook.ts'
import { type Principal } from '../auth/principal.ts'
import { ApiError } from '../errors.ts'
import { type MessageCheck, readDelivery } from './delivery.ts'
import { type Integrations, type OpenIntegration, secretsAt } from './integrations.ts'
import { parseJson } from './json-text.ts'
import { schemeOf } from './signatures/schemes.ts'
import { type Refusal, type SignedRequest } from './signatures/signed-request.ts'
import { hintOf, verify } from './signatures/verify.ts'

/** Why a signature is refused, as far as that can be guessed by who knows the secrets. */
function explained (integration: OpenIntegration, request: SignedRequest, refusal: Refusal, now: number): string {
  if (refusal.reason !== 'no_match') return refusal.detail
  const scheme = schemeOf(integration)
  const { previous } = integration
  if (previous && 'secret' in verify(scheme, [previous.secret], request, now)) {
    return `${refusal.detail} It is signed with the secret before the present one, which counted until ${previous.until.toISOString()}.`
  }
  const hint = hintOf(scheme, secretsAt(integration, now), request)
  return hint === undefined ? refusal.detail : `${refusal.detail} ${hint}`
}

/** Tells what would be made of a request, and does nothing. */
export class Trials {
  readonly #integrations: Integrations
  readonly #check: MessageCheck

  constructor (integrations: Integrations, check: MessageCheck) {
    this.#integrations = integrations
    this.#check = check
  }

  async explain ({ tenantId }: Principal, { integrationId, headers, body }: WebhookTrial): Promise<WebhookTrialResult> {
    const integration = await this.#integrations.open(tenantId, integrationId)
    const lowerCase = Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]))
    const request: SignedRequest = { headers: lowerCase, body: Buffer.from(body, 'utf8') }
    const now = Date.now()
    const verdict = verify(schemeOf(integration), secretsAt(integration, now), request, now)
    if ('reason' in verdict) {
      const detail = explained(integration, request, verdict, now)
      return { valid: false, reason: verdict.reason, detail, signedBy: null, deliveryId: null, outcome: 'refused', outcomeDetail: null }
    }
    return {
      valid: true,
      reason: null,
      detail: 'The signature is right.',
      signedBy: verdict.secret === 0 ? 'current' : 'previous',
      ...this.#outcomeOf(integration, request)
    }
  }

  #outcomeOf (integration: OpenIntegration, request: SignedRequest): Pick<WebhookTrialResult, 'deliveryId' | 'outcome' | 'outcomeDetail'> {
    if (!integration.enabled) return { deliveryId: null, outcome: 'refused', outcomeDetail: 'The integration is not enabled.' }
    try {
      const delivery = readDelivery(integration, request, parseJson(request.body), this.#check)
      if (delivery.kind === 'message') return { deliveryId: delivery.deliveryId, outcome: 'message', outcomeDetail: null }
      if (delivery.kind === 'ignored') return { deliveryId: null, outcome: 'ignored', outcomeDetail: delivery.reason }
      return { deliveryId: null, outcome: 'verified', outcomeDetail: null }
    } catch (error) {
      if (!(error instanceof ApiError)) throw error
      return { deliveryId: null, outcome: 'refused', outcomeDetail: error.message }
    }
  }
}
