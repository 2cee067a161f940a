import { nobody } from '../edge.ts'
import { type Client } from '../helper.ts'
import { type Kind } from './names.ts'

/** What a tenant has, by its kind. */
export interface Place extends Readonly<Record<Exclude<Kind, 'cursor'>, string>> {
  /** Stands in every text that somebody wrote here. */
  readonly mark: string
  /** The message of the user that `message` answers. */
  readonly said: string
  /** Another session, with another chatbot. */
  readonly otherSession: string
  /** The key that `key` is the identifier of. */
  readonly secret: string
  readonly account: SignedUp
  /** What the sender of `integration` signs with, and verifies its address with. */
  readonly integrationSecret: string
  readonly verifyToken: string
}

/** Somebody with an account and a tenant of their own. */
export interface SignedUp {
  readonly tenant: string
  readonly id: string
  readonly email: string
  readonly token: string
  /** Of other sign-ins: one to go on with, one to end. */
  readonly refreshTokens: readonly [string, string]
}

/** Where nobody listens: port 9, in a network that `OUTGOING_ALLOWED_NETWORKS` must name. */
export const NOWHERE = 'http://127.0.0.1:9/'

export const PASSWORD = 'correct horse battery'

interface SignIn { readonly token: string, readonly refreshToken: string }

/** Makes an account whose texts have the mark. */
export async function signedUp (client: Client, mark: string): Promise<SignedUp> {
  const nobody = client.with({})
  const email = `${mark}@example.org`
  const { body: { user, tenant } } = await nobody.ask<{ user: { id: string }, tenant: { id: string } }>('/api/auth/register', {
    body: { email, password: PASSWORD, name: mark, tenantName: mark }
  })
  const login = async () => (await nobody.ask<SignIn>('/api/auth/login', { body: { email, password: PASSWORD } })).body
  const { token } = await login()
  return { tenant: tenant.id, id: user.id, email, token, refreshTokens: [(await login()).refreshToken, (await login()).refreshToken] }
}

interface Exchange { readonly userMessage: { readonly id: string }, readonly botMessage: { readonly id: string } }

/** Fills a tenant with some of everything. */
export async function furnish (client: Client, account: SignedUp, mark: string, user: string): Promise<Place> {
  const ask = async <T = { id: string }>(path: string, body: unknown, method = 'POST') => {
    const answer = await client.ask<T>(path, { method, body })
    if (answer.status >= 300) throw new Error(`${method} ${path}: ${answer.status} ${JSON.stringify(answer.body)}`)
    return answer.body
  }
  const { id: specification } = await ask('/api/specifications', { brief: `A bot for ${mark}. It knows all parcels.` })
  await ask('/api/specifications', { brief: `Another ${mark}.` })
  const config = await client.createConfig({
    purpose: `Help with ${mark}.`, name: mark, instructions: `The ${mark} is open on Mondays.`, domain: [mark], note: mark, specificationId: specification
  })
  await ask(`/api/configs/${config}`, { tone: { style: mark }, note: `${mark} again` }, 'PATCH')
  const elsewhere = await client.createConfig({ purpose: mark })
  const session = await client.createSession(config, { userId: user, title: mark, metadata: { [mark]: mark } })
  const other = await client.createSession(elsewhere, { userId: user, title: mark })
  await ask(`/api/sessions/${other}/messages`, { message: mark })
  const messages = `/api/sessions/${session}/messages`
  const first = await ask<Exchange>(messages, { message: `When is the ${mark} open?` })
  const second = await ask<Exchange>(`${messages}/${first.botMessage.id}/regenerate`, undefined)
  for (const { botMessage } of [first, second]) {
    await ask(`${messages}/${botMessage.id}/feedback`, { rating: 'up', comment: mark, tags: [mark] }, 'PUT')
  }
  const { branchId } = await ask<{ branchId: string }>(`/api/sessions/${session}`, { metadata: { mark } }, 'PATCH')
  await ask(`/api/sessions/${session}/summary`, undefined)
  await ask('/api/integrations', { name: mark, configId: elsewhere })
  const verifyToken = `verify-${mark}`
  const { id: integration, secret: integrationSecret } = await ask<{ id: string, secret: string }>('/api/integrations', { name: mark, configId: elsewhere, verifyToken })
  const { id: inbound } = await ask('/api/webhook?wait=true', { type: 'message', channel: 'elsewhere', externalUserId: mark, text: mark, configId: elsewhere })
  await ask('/api/webhook-endpoints', { url: `${NOWHERE}${mark}`, events: ['integration.failed'] })
  const { id: endpoint } = await ask('/api/webhook-endpoints', { url: `${NOWHERE}${mark}`, description: mark, events: ['integration.failed'] })
  await ask(`/api/webhook-endpoints/${endpoint}/test`, undefined)
  const { id: delivery } = await ask(`/api/webhook-endpoints/${endpoint}/test`, undefined)
  const { id: response } = await ask('/v1/responses', { model: config, input: mark, metadata: { mark } })
  await ask('/api/keys', { name: mark, scopes: ['chat'] })
  const { id: key, key: secret } = await ask<{ id: string, key: string }>('/api/keys', { name: mark, scopes: ['sessions:write'] })
  await ask('/api/invitations', { email: `a-${user}@example.org`, role: 'member' })
  const { id: invitation } = await ask('/api/invitations', { email: `b-${user}@example.org`, role: 'member' })
  await ask('/api/end-users/left-before', undefined, 'DELETE')
  const { id: erasure } = await ask('/api/end-users/left', undefined, 'DELETE')
  await ask('/api/legal-holds', { scope: 'user', userId: 'held before', reason: mark })
  const { id: hold } = await ask('/api/legal-holds', { scope: 'user', userId: 'held', reason: mark })
  return {
    mark,
    tenant: account.tenant,
    member: account.id,
    invitation,
    integration,
    integrationSecret,
    verifyToken,
    inbound,
    endpoint,
    delivery,
    account,
    user,
    specification,
    config,
    session,
    otherSession: other,
    branch: branchId,
    erasure,
    hold,
    key,
    secret,
    message: second.botMessage.id,
    response,
    said: first.userMessage.id
  }
}

/** A name like `name` that nothing has; `id` stands in for the identifiers in it. */
export function unknownLike (kind: Kind, name: string, id = nobody): string {
  if (kind === 'user' || kind === 'tenant') return 'nobody-at-all'
  const ids = /[0-9a-f]{24}/g
  if (kind !== 'cursor') return name.replaceAll(ids, id)
  // Next to what it is: it says where a list goes on, too.
  const beside = (text: string) => text.replaceAll(ids, (found) => found.slice(0, -1) + (found.endsWith('0') ? '1' : '0'))
  const position = Buffer.from(name, 'base64url').toString('latin1')
  return ids.test(position) ? Buffer.from(beside(position), 'latin1').toString('base64url') : beside(name)
}
