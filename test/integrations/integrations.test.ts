import t from 'tap'
import { isProblem } from '../edge.ts'
import { startApp } from '../helper.ts'
import { Integrations } from '../../src/integrations/integrations.ts'
import { reencrypt } from '../../src/secrets/reencryption.ts'
import { parseKeyRing } from '../../src/secrets/key-ring.ts'
import { Secrets } from '../../src/secrets/secrets.ts'
import { said, signers, type Signed } from './signers.ts'

const keyOf = (id: string, byte: number) => `${id}:${Buffer.alloc(32, byte).toString('base64')}`
const { app, client, clientFor, db } = await startApp(t, { ENCRYPTION_KEYS: keyOf('one', 1) })
const configId = await client.createConfig({ purpose: 'Help.', titles: false, summaries: false })

interface View { readonly id: string, readonly url: string, readonly secret: string, readonly previousSecretUntil: string | null }

const create = async (input: Record<string, unknown> = {}) => await client.ask<View>('/api/integrations', { body: { name: 'Help desk', configId, ...input } })
const send = async (url: string, { headers, body }: Signed) => (await client.with({}).ask(url, { method: 'POST', headers, body })).status
const OTHER = `whsec_${Buffer.alloc(24, 7).toString('base64')}`

t.test('an integration is made, read, changed and deleted', async (t) => {
  const { status, headers, body: made } = await create({ verifyToken: 'the-verify-token' })
  t.equal(status, 201)
  t.equal(headers.get('location'), `/api/integrations/${made.id}`)
  t.match(made, {
    name: 'Help desk',
    configId,
    url: `/api/webhook/${made.id}`,
    scheme: 'standard',
    hmac: null,
    hasVerifyToken: true,
    enabled: true,
    channel: 'webhook',
    mapping: null,
    sessionIdleMinutes: 1440,
    previousSecretUntil: null,
    secret: /^whsec_[A-Za-z0-9+/]{43}=$/
  })
  const { secret: _, ...shown } = made
  t.strictSame((await client.ask(`/api/integrations/${made.id}`)).body, shown)
  t.match((await client.ask<{ data: View[] }>('/api/integrations?limit=1')).body.data, [shown])
  const mapping = { text: '/a', externalUserId: '/b' }
  const changed = await client.ask(`/api/integrations/${made.id}`, {
    method: 'PATCH', body: { name: 'Desk', mapping, verifyToken: null, sessionIdleMinutes: 5, channel: 'sms' }
  })
  t.match(changed.body, { name: 'Desk', mapping, hasVerifyToken: false, sessionIdleMinutes: 5, channel: 'sms', enabled: true })
  t.match((await client.ask(`/api/integrations/${made.id}`, { method: 'PATCH', body: { mapping: null, verifyToken: 'another-token' } })).body, { mapping: null, hasVerifyToken: true })
  t.equal((await client.ask(`/api/integrations/${made.id}`, { method: 'DELETE' })).status, 204)
  for (const method of ['GET', 'DELETE']) isProblem(t, await client.ask(`/api/integrations/${made.id}`, { method }), 'not_found')
  isProblem(t, await client.ask(`/api/integrations/${made.id}`, { method: 'PATCH', body: {} }), 'not_found')
  isProblem(t, await client.ask(`/api/integrations/${made.id}/rotate`, { body: {} }), 'not_found')
  t.equal(await send(made.url, signers['standard']!(made.secret, said('x'))), 401)
})

t.test('what does not fit is refused', async (t) => {
  for (const input of [
    { secret: '' }, { secret: 'short' }, { secret: 'not base64, and longer than it must be' }, { secret: 'x'.repeat(31), scheme: 'standard' },
    { secret: 'whsec_' }, { secret: `whsec_${Buffer.alloc(23).toString('base64')}` }, { secret: `whsec_${Buffer.alloc(65).toString('base64')}` },
    { scheme: 'md5' }, { hmac: {} }, { scheme: 'hmac', hmac: { header: 'a b' } }, { sessionIdleMinutes: 0 }, { mapping: {} },
    { mapping: { text: 'a', externalUserId: '/b' } }, { mapping: { text: '/a~2', externalUserId: '/b' } }, { verifyToken: 'x' }, { tenantId: 'x' }, { name: '' }
  ]) isProblem(t, await create(input), 'validation_failed', JSON.stringify(input))
  isProblem(t, await create({ configId: '0'.repeat(24) }), 'not_found')
  const { body: { id } } = await create()
  isProblem(t, await client.ask(`/api/integrations/${id}`, { method: 'PATCH', body: { configId: '0'.repeat(24) } }), 'not_found')
  isProblem(t, await client.ask(`/api/integrations/${id}`, { method: 'PATCH', body: { hmac: {} } }), 'validation_failed')
  isProblem(t, await client.ask(`/api/integrations/${id}/rotate`, { body: { secret: 'x'.repeat(20) } }), 'validation_failed')
})

t.test('a plain HMAC stands where the integration says', async (t) => {
  const { body: made } = await create({ scheme: 'hmac', hmac: { header: 'X-Shop' } })
  t.match(made, { hmac: { header: 'X-Shop', encoding: 'hex', prefix: '' }, secret: /^[0-9a-f]{64}$/ })
  const changed = await client.ask(`/api/integrations/${made.id}`, { method: 'PATCH', body: { hmac: { prefix: 'v1=' } } })
  t.match(changed.body, { hmac: { header: 'X-Shop', encoding: 'hex', prefix: 'v1=' } })
  const { body, headers } = signers['hmac']!(made.secret, said('Hello.'))
  t.equal(await send(made.url, { body, headers: { 'x-shop': `v1=${headers['x-signature']!}` } }), 202)
})

t.test('a tenant has a hundred integrations at most', async (t) => {
  const crowded = await clientFor('crowded', 'configs:write', 'webhooks:write')
  const config = await crowded.createConfig()
  const made = await Promise.all(Array.from({ length: 101 }, async () => (await crowded.ask('/api/integrations', { body: { name: 'x', configId: config } })).status))
  t.strictSame([made.filter((status) => status === 201).length, made.filter((status) => status === 409).length], [100, 1])
})

t.test('while a secret is changed, both count', async (t) => {
  const { body: { id, url, secret } } = await create()
  const by = async (secret: string) => await send(url, signers['standard']!(secret, said('Hello.')))
  const { body: rotated } = await client.ask<View>(`/api/integrations/${id}/rotate`, { body: { secret: OTHER, overlapSeconds: 60 } })
  t.equal(rotated.secret, OTHER)
  t.ok(Date.parse(rotated.previousSecretUntil!) > Date.now())
  t.strictSame([await by(secret), await by(OTHER)], [202, 202])
  const explain = async (secret: string) => await client.ask('/api/webhook/verify', { body: { integrationId: id, ...signers['standard']!(secret, said('Hello.')) } })
  t.match((await explain(secret)).body, { valid: true, signedBy: 'previous' })
  const { body: third } = await client.ask<View>(`/api/integrations/${id}/rotate`, { body: { overlapSeconds: 0 } })
  t.strictSame([await by(secret), await by(OTHER), await by(third.secret)], [401, 401, 202], 'and after that only the new one')
  t.equal((await client.ask<View>(`/api/integrations/${id}`)).body.previousSecretUntil, null)
  t.match((await explain(OTHER)).body, { valid: false, reason: 'no_match', detail: /the secret before the present one/ })
})

t.test('secrets are stored encrypted, and sealed anew with a newer key', async (t) => {
  const { body: { id, secret } } = await create({ verifyToken: 'the-verify-token' })
  await client.ask(`/api/integrations/${id}/rotate`, { body: {} })
  const stored = async () => JSON.stringify(await db.collection('integrations').find().toArray())
  const before = await stored()
  t.notMatch(before, secret.slice(6))
  t.notMatch(before, /the-verify-token/)
  const audit = JSON.stringify(await db.collection('auditLog').find().toArray())
  t.notMatch(audit, secret.slice(6))
  const newer = new Secrets(() => parseKeyRing(`${keyOf('two', 2)},${keyOf('one', 1)}`)!)
  for (const path of ['secret', 'previous.secret', 'verifyToken'] as const) t.ok(await reencrypt(newer, app.store.integrations.sealedField(path)) > 0, path)
  t.notMatch(await stored(), /v1\.one\./)
})

t.test('a dry run tells what would be made of a request', async (t) => {
  const { body: { id, secret } } = await create()
  const { body: slack } = await create({ scheme: 'slack' })
  const explain = async (integrationId: string, { headers, body }: Signed) =>
    (await client.ask('/api/webhook/verify', { body: { integrationId, headers: Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toUpperCase(), value])), body } })).body
  const good = signers['standard']!(secret, said('Hello.'))
  t.strictSame(await explain(id, good), {
    valid: true, reason: null, detail: 'The signature is right.', signedBy: 'current', deliveryId: good.headers['webhook-id'], outcome: 'message', outcomeDetail: null
  })
  t.match(await explain(id, { ...good, body: `${good.body}\n` }), { valid: false, reason: 'no_match', outcome: 'refused', detail: /line break/ })
  t.match(await explain(id, { ...good, body: '{}' }), { reason: 'no_match', detail: /by a secret of the integration\.$/ })
  t.match(await explain(id, { ...good, headers: {} }), { reason: 'missing_header', detail: /webhook-id/ })
  t.match(await explain(id, signers['standard']!(secret, said('Hello.'), 1_700_000_000)), { reason: 'timestamp_too_old' })
  t.match(await explain(id, signers['standard']!(secret, '{"type":"x"}')), { valid: true, outcome: 'refused', outcomeDetail: /body does not fit/ })
  t.match(await explain(slack.id, signers['slack']!(slack.secret, '{"type":"url_verification","challenge":"x"}')), { valid: true, outcome: 'verified' })
  t.match(await explain(slack.id, signers['slack']!(slack.secret, '{"type":"event_callback","event":{"bot_id":"x"}}')), { outcome: 'ignored', outcomeDetail: /bot/ })
  await client.ask(`/api/integrations/${id}`, { method: 'PATCH', body: { enabled: false } })
  t.match(await explain(id, good), { valid: true, outcome: 'refused', outcomeDetail: /not enabled/ })
  isProblem(t, await client.ask('/api/webhook/verify', { body: { integrationId: '0'.repeat(24), headers: {}, body: '' } }), 'not_found')
  t.equal((await db.collection('inboundMessages').countDocuments({ tenantId: 'nobody' })), 0)
})

t.test('without a key to keep secrets with, there are no integrations', async (t) => {
  const { store, chatbots } = app
  const without = new Integrations({ repository: store.integrations, inbound: store.inbound, conversations: store.conversations, chatbots, secrets: undefined })
  const principal = { kind: 'api-key', tenantId: 'default', userId: null, scopes: new Set(['admin']), credential: 'x' } as const
  await t.rejects(without.create(principal, { name: 'x', configId }), { code: 'conflict', message: /ENCRYPTION_KEYS/ })
  await t.resolves(without.reencrypt())
})
