import { type Description, type Operation } from './document.ts'
import { type Reference, referencesOf } from './names.ts'
import { signers } from '../integrations/signers.ts'
import { NOWHERE, PASSWORD, type Place } from './place.ts'
import { type Asked } from './wire.ts'

/** A request in its parts, before it is put together. */
export interface Parts {
  readonly params: Readonly<Record<string, string>>
  readonly query: Readonly<Record<string, string>>
  readonly headers: Readonly<Record<string, string>>
  readonly body?: unknown
}

type Input = Partial<Omit<Parts, 'body'>> & { readonly body?: object | string }

const empty = '{"type":"export","format":"parley","formatVersion":1,"exportedAt":"2026-01-01T00:00:00.000Z"}\n' +
  '{"type":"end","counts":{"configs":0,"sessions":0,"messages":0}}\n'

const said = { type: 'message', channel: 'elsewhere', externalUserId: 'somebody else', text: 'Hello.' }

// Where the first example of the document does not do, or there is more to say than names.
const inputs: Readonly<Record<string, (place: Place) => Input>> = {
  createConfig: ({ specification }) => ({ body: { purpose: 'Help.', titles: false, summaries: false, specificationId: specification } }),
  createLegalHold: ({ otherSession }) => ({ body: { scope: 'session', sessionId: otherSession, reason: 'A case' } }),
  createSession: ({ config, user }) => ({ body: { configId: config, userId: user } }),
  patchSession: ({ branch }) => ({ body: { branchId: branch } }),
  editMessage: ({ said }) => ({ params: { messageId: said } }),
  confirmPasswordReset: () => ({ body: { token: 'x'.repeat(43), password: 'staple of another colour' } }),
  logIn: ({ account }) => ({ body: { email: account.email, password: PASSWORD } }),
  logOut: ({ account }) => ({ body: { refreshToken: account.refreshTokens[1] } }),
  patchMember: () => ({ body: { role: 'owner' } }),
  patchTenant: () => ({ body: { name: 'Another name' } }),
  setLogLevel: () => ({ body: { level: 'trace' } }),
  refreshSignIn: ({ account }) => ({ body: { refreshToken: account.refreshTokens[0] } }),
  createVisitorToken: ({ config }) => ({ body: { configId: config, visitorId: 'a visitor' } }),
  grantToken: () => ({ body: { grant_type: 'client_credentials' } }),
  getUsage: () => ({ query: { groupBy: 'config,user,key,model' } }),
  eraseEndUser: () => ({ params: { userId: 'not-there' } }),
  rollbackConfig: () => ({ body: { version: 1 } }),
  importAll: () => ({ headers: { 'content-type': 'application/x-ndjson' }, body: empty }),
  createIntegration: ({ config }) => ({ body: { name: 'A channel', configId: config } }),
  patchIntegration: ({ config }) => ({ body: { configId: config } }),
  explainWebhook: ({ integration }) => ({ body: { integrationId: integration, headers: {}, body: '{}' } }),
  createWebhookEndpoint: () => ({ body: { url: NOWHERE } }),
  redeliverWebhooks: () => ({ body: { from: '2026-01-01T00:00:00.000Z' } }),
  receiveMessage: ({ config }) => ({ query: { wait: 'true' }, body: { ...said, configId: config } }),
  receiveWebhook: ({ integration, integrationSecret }) => ({
    params: { integrationId: integration }, query: { wait: 'true' }, ...signers['standard']!(integrationSecret, JSON.stringify(said))
  }),
  verifyWebhookAddress: ({ integration, verifyToken }) => ({
    params: { integrationId: integration }, query: { 'hub.mode': 'subscribe', 'hub.verify_token': verifyToken, 'hub.challenge': '17' }
  }),
  createResponse: ({ config }) => ({ body: { model: config, input: 'Hello.' } }),
  createChatCompletion: ({ config }) => ({ body: { model: config, messages: [{ role: 'user', content: 'Hello.' }] } }),
  searchMessages: ({ mark }) => ({ query: { q: mark } })
}

// For machines only.
const byKey: ReadonlySet<string> = new Set(['createVisitorToken', 'grantToken'])

/**
 * What cannot be answered with 2xx here: it takes what is only in a mail, a provider or a cookie, would leave a tenant
 * without an owner, or ends the sign-ins that the others need.
 */
export const refused: ReadonlySet<string> = new Set([
  'acceptInvitation', 'beginProviderLogin', 'changePassword', 'confirmPasswordReset', 'endProviderLogin', 'getCsrfToken', 'removeMember', 'verifyEmail'
])

const plain: Readonly<Record<string, string>> = { version: '1', provider: 'google' }

function set (body: object, [name, ...rest]: readonly string[], value: string): object {
  const members = body as Record<string, unknown>
  return { ...members, [name!]: rest.length === 0 ? value : set({ ...members[name!] as object }, rest, value) }
}

/** The same request with another name in one place. */
export function renamed (parts: Parts, { in: place, name }: Reference, value: string): Parts {
  switch (place) {
    case 'path': return { ...parts, params: { ...parts.params, [name]: value } }
    case 'query': return { ...parts, query: { ...parts.query, [name]: value } }
    case 'header': return { ...parts, headers: { ...parts.headers, [name]: value } }
    case 'body': return { ...parts, body: set(parts.body as object, name.split('/').slice(1), value) }
  }
}

/** A request that the owner of `place` is answered with 2xx. */
export function validParts (description: Description, operation: Operation, place: Place): Parts {
  const given = inputs[operation.id]?.(place) ?? {}
  const needsBody = operation.body !== undefined && given.body === undefined
  const body = needsBody ? operation.body.schema.examples?.[0] : given.body
  if (needsBody && body === undefined) throw new Error(`${operation.id}: its body has no example; add one, or say in test/security/requests.ts what to send.`)
  let parts: Parts = {
    params: { ...plain }, query: given.query ?? {}, headers: given.headers ?? {}, ...(body !== undefined && { body })
  }
  for (const reference of referencesOf(description, operation)) {
    if (reference.in === 'path' && reference.kind !== 'cursor') parts = renamed(parts, reference, place[reference.kind])
  }
  return { ...parts, params: { ...parts.params, ...given.params } }
}

/** Puts a request together. The values of `raw` go into the path as they are. */
export function assembled ({ id, method, path, scopes }: Operation, { params, query, headers, body }: Parts, raw: Readonly<Record<string, string>> = {}): Asked {
  const filled = path.replaceAll(/\{(\w+)\}/g, (_all, name: string) => {
    const value = raw[name] ?? (params[name] === undefined ? undefined : encodeURIComponent(params[name]))
    if (value === undefined) throw new Error(`${method} ${path}: say in test/security/requests.ts what to put for {${name}}.`)
    return value
  })
  const search = new URLSearchParams(query).toString()
  return {
    method,
    path: search === '' ? filled : `${filled}?${search}`,
    headers,
    byKey: byKey.has(id),
    byAccount: scopes.includes('account') || id === 'patchMember',
    ...(body !== undefined && { body: typeof body === 'string' ? body : JSON.stringify(body) })
  }
}
