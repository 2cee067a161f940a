import { type Description, type Operation, type Schema } from './document.ts'

/** What can be named in a request, and belongs to somebody. */
export type Kind = 'branch' | 'config' | 'cursor' | 'delivery' | 'endpoint' | 'erasure' | 'hold' | 'inbound' | 'integration' | 'invitation' | 'key' | 'member' | 'message' | 'response' | 'session' | 'specification' | 'tenant' | 'user'

/** What a name stands for; null: nothing that belongs to anybody. */
type Meaning = Kind | null

// By the path up to it.
const inPath: Readonly<Record<string, Meaning>> = {
  '/api/configs/{id}': 'config',
  '/api/configs/{id}/versions/{version}': null,
  '/api/end-users/{userId}': 'user',
  '/api/erasures/{id}': 'erasure',
  '/api/legal-holds/{id}': 'hold',
  '/api/auth/oauth/{provider}': null,
  '/api/integrations/{id}': 'integration',
  '/api/invitations/{id}': 'invitation',
  '/api/keys/{id}': 'key',
  '/api/members/{id}': 'member',
  '/api/sessions/{id}': 'session',
  '/api/sessions/{id}/messages/{messageId}': 'message',
  '/api/specifications/{id}': 'specification',
  '/api/tenants/{tenantId}': 'tenant',
  // Who signs for it is told of it, and nobody else.
  '/api/webhook/{integrationId}': null,
  '/api/webhook/deliveries/{id}': 'inbound',
  '/api/webhook-endpoints/{id}': 'endpoint',
  '/api/webhook-endpoints/{id}/deliveries/{deliveryId}': 'delivery',
  '/v1/models/{model}': 'config',
  '/v1/responses/{id}': 'response'
}

const inQuery: Readonly<Record<string, Meaning>> = {
  'hub.verify_token': null, actorId: 'user', branch: 'branch', configId: 'config', cursor: 'cursor', keyId: 'key', targetId: 'erasure', userId: 'user'
}

const inHeaders: Readonly<Record<string, Meaning>> = {
  'idempotency-key': null, 'if-match': null, 'if-none-match': null, 'last-event-id': 'cursor', prefer: null, 'x-csrf-token': null, 'x-session-id': 'session'
}

// By the operation and the path of the member.
const inBodies: Readonly<Record<string, Meaning>> = {
  'createConfig/specificationId': 'specification',
  'createIntegration/configId': 'config',
  'createIntegration/mapping/deliveryId': null,
  'createIntegration/mapping/externalMessageId': null,
  'createIntegration/mapping/externalUserId': null,
  'createIntegration/verifyToken': null,
  'patchIntegration/configId': 'config',
  'patchIntegration/mapping/deliveryId': null,
  'patchIntegration/mapping/externalMessageId': null,
  'patchIntegration/mapping/externalUserId': null,
  'patchIntegration/verifyToken': null,
  'explainWebhook/integrationId': 'integration',
  'receiveMessage/configId': 'config',
  'receiveMessage/externalMessageId': null,
  'receiveMessage/externalUserId': null,
  'receiveMessage/integrationId': null,
  'receiveWebhook/configId': null,
  'receiveWebhook/externalMessageId': null,
  'receiveWebhook/externalUserId': null,
  'receiveWebhook/integrationId': null,
  'createLegalHold/sessionId': 'session',
  'createLegalHold/userId': null,
  'createSession/configId': 'config',
  'createSession/userId': null,
  'createVisitorToken/configId': 'config',
  'createVisitorToken/visitorId': null,
  'acceptInvitation/token': null,
  'confirmPasswordReset/token': null,
  'grantToken/client_id': null,
  'logIn/tenantId': 'tenant',
  'logOut/refreshToken': null,
  'refreshSignIn/refreshToken': null,
  'verifyEmail/token': null,
  'createResponse/previous_response_id': 'response',
  'patchSession/branchId': 'branch'
}

export interface Reference {
  readonly in: 'path' | 'query' | 'header' | 'body'
  readonly name: string
  readonly kind: Kind
}

const looksLikeOne = (name: string, { pattern, anyOf }: Schema): boolean => pattern === '^[0-9a-f]{24}$' ||
  /(^id|ids?|cursor|branch|token)$/i.test(name) || (anyOf?.some((schema) => looksLikeOne('', schema)) ?? false)

/** Whether the server says that it does not look at a member. */
export const isIgnored = ({ description }: Schema) => description?.startsWith('Ignored:') ?? false

/** The members of a body, those within members included: their paths and schemas. */
export function membersOf (description: Description, schema: Schema, at = ''): Array<[path: string, schema: Schema]> {
  const { properties = {}, anyOf = [] } = description.resolve(schema)
  const own = Object.entries(properties).flatMap(([name, given]) => {
    const member = description.resolve(given)
    return [[`${at}/${name}`, member] as [string, Schema], ...membersOf(description, member, `${at}/${name}`)]
  })
  return [...own, ...anyOf.flatMap((one) => membersOf(description, one, at))]
}

function meaning (table: Readonly<Record<string, Meaning>>, key: string, variable: string, { id }: Operation): Meaning {
  const found = table[key]
  if (found !== undefined) return found
  throw new Error(`${id}: say in test/security/names.ts, in ${variable}, what '${key}' names, or null: nothing that belongs to anybody.`)
}

/** Whatever in a request names something that belongs to somebody. Throws where that is not known. */
export function referencesOf (description: Description, operation: Operation): Reference[] {
  const { path, parameters, body } = operation
  const found: Array<Omit<Reference, 'kind'> & { kind: Meaning }> = []
  for (const { in: place, name, schema } of parameters) {
    if (place === 'path') {
      const key = path.slice(0, path.indexOf(`{${name}}`) + name.length + 2)
      found.push({ in: 'path', name, kind: meaning(inPath, key, 'inPath', operation) })
    } else if (place === 'header') {
      found.push({ in: 'header', name, kind: meaning(inHeaders, name, 'inHeaders', operation) })
    } else if (looksLikeOne(name, schema)) {
      found.push({ in: 'query', name, kind: meaning(inQuery, name, 'inQuery', operation) })
    }
  }
  if (body?.type === 'application/json') {
    for (const [member, schema] of membersOf(description, body.schema)) {
      if (isIgnored(schema) || !looksLikeOne(member.split('/').at(-1)!, schema)) continue
      found.push({ in: 'body', name: member, kind: meaning(inBodies, operation.id + member, 'inBodies', operation) })
    }
  }
  return found.filter((reference): reference is Reference => reference.kind !== null)
}
