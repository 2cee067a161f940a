import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { MongoNetworkError } from 'mongodb'
import t, { type Test } from 'tap'
import { buildApp } from '../../src/app.ts'
import { newApiKey, apiKeyPrefix, hashApiKey } from '../../src/auth/api-key.ts'
import { ensureFirstKey, firstKeyFile } from '../../src/auth/first-key.ts'
import { loadConfig } from '../../src/config.ts'
import { bearer, isProblem, JWT_SECRET, signJwt } from '../edge.ts'
import { databaseName, startApp, storeUri, temporaryFolder, type Client } from '../helper.ts'

const { app, client, adminKey, db } = await startApp(t, { JWT_SECRET })
const now = () => Math.floor(Date.now() / 1000)
const withBearer = (credential: string) => client.with({ authorization: `Bearer ${credential}` })

interface Operation { operationId: string, security?: unknown[], 'x-scopes'?: string[] }

/** Every operation of the document; what has no scopes is public. */
function operations () {
  const { paths } = app.swagger() as unknown as { paths: Record<string, Record<string, Operation>> }
  return Object.entries(paths).flatMap(([path, methods]) => Object.entries(methods).map(([method, operation]) => ({
    path, method: method.toUpperCase(), id: operation.operationId, scopes: operation['x-scopes'] ?? []
  })))
}

const isRefused = async (t: Test, who: Client, label: string) => {
  const answer = await who.ask('/api/configs')
  isProblem(t, answer, 'unauthenticated', label)
  t.equal(answer.headers.get('www-authenticate'), 'Bearer realm="parley", error="invalid_token"', label)
}

t.test('an API key is taken in either header', async (t) => {
  for (const headers of [
    { 'x-api-key': adminKey }, { authorization: `Bearer ${adminKey}` }, { authorization: `bearer ${adminKey}` }, { authorization: `BEARER   ${adminKey}` },
    { authorization: `Bearer ${adminKey}`, 'x-api-key': 'something else' }
  ]) {
    t.equal((await client.with(headers as Record<string, string>).ask('/api/configs')).status, 200,
      JSON.stringify(Object.keys(headers)))
  }
})

t.test('a key that is not exactly one that is stored is refused', async (t) => {
  const last = adminKey.at(-1) === 'a' ? 'b' : 'a'
  const revoked = newApiKey()
  const record = {
    prefix: apiKeyPrefix(revoked)!,
    tenantId: 'default',
    name: 'revoked',
    scopes: ['admin'],
    createdAt: new Date()
  }
  await app.store.apiKeys.upsert(record, hashApiKey(revoked))
  await db.collection<{ _id: string }>('apiKeys').deleteOne({ _id: record.prefix })
  const wrong = {
    'one character off': adminKey.slice(0, -1) + last,
    'another id': `pk_00000000_${adminKey.slice(12)}`,
    'too short': adminKey.slice(0, -1),
    'too long': `${adminKey}a`,
    'only the id': adminKey.slice(0, 11),
    unknown: newApiKey(),
    revoked,
    'no key at all': 'x',
    'an operator': '{"$ne":null}'
  }
  for (const [label, key] of Object.entries(wrong)) {
    await isRefused(t, client.with({ 'x-api-key': key }), label)
    await isRefused(t, withBearer(key), `${label}, as bearer`)
  }
  for (const authorization of ['Basic YTpi', adminKey, 'Bearer', 'Bearer ', `Bearer ${adminKey} x`,
    `Token ${adminKey}`]) {
    await isRefused(t, client.with({ authorization, 'x-api-key': adminKey }), `a credential beside ${authorization}`)
  }
  const nothing = await client.with({}).ask('/api/configs')
  isProblem(t, nothing, 'unauthenticated', 'nothing')
  t.equal(nothing.headers.get('www-authenticate'), 'Bearer realm="parley"')
})

t.test('a key is stored as its hash only, and is forgotten within five seconds of its removal', async (t) => {
  const key = newApiKey()
  await app.store.apiKeys.upsert({
    prefix: apiKeyPrefix(key)!,
    tenantId: 'default',
    name: 'short',
    scopes: ['configs:read'],
    createdAt: new Date()
  }, hashApiKey(key))
  t.notMatch(JSON.stringify(await db.collection('apiKeys').find().toArray()), new RegExp(key.slice(12)))
  t.equal((await withBearer(key).ask('/api/configs')).status, 200)
  await db.collection<{ _id: string }>('apiKeys').deleteOne({ _id: apiKeyPrefix(key)! })
  const original = performance.now.bind(performance)
  t.intercept(performance, 'now', { value: () => original() + 5001 })
  await isRefused(t, withBearer(key), 'five seconds later')
})

t.test('a JWT is taken when it is ours, and its claims say who it is', async (t) => {
  const good = { sub: 'anna', scope: 'configs:read configs:write sessions:write sessions:read' }
  const who = bearer(client, good)
  const id = await who.createConfig()
  t.match((await who.ask('/api/sessions', { body: { configId: id } })).body, { userId: 'anna' })
  t.equal((await client.ask(`/api/configs/${id}`)).status, 200, 'without tid the tenant is the default one')
  const elsewhere = bearer(client, { ...good, tid: 'tenant-2' })
  isProblem(t, await elsewhere.ask(`/api/configs/${id}`), 'not_found', 'tid')
  t.equal((await elsewhere.ask(`/api/configs/${await elsewhere.createConfig()}`)).status, 200)
})

t.test('a JWT that is not ours, not now or not whole is refused', async (t) => {
  const claims = { sub: 'anna', scope: 'admin' }
  const signed = signJwt(claims)
  const [head, body, signature] = signed.split('.') as [string, string, string]
  const none = Buffer.from('{"alg":"none","typ":"JWT"}').toString('base64url')
  const wrong: Record<string, string> = {
    expired: signJwt({ ...claims, exp: now() - 62 }),
    'issued in the future': signJwt({ ...claims, iat: now() + 62 }),
    'without exp': signJwt({ ...claims, exp: undefined }),
    'exp as text': signJwt({ ...claims, exp: String(now() + 600) }),
    'exp null': signJwt({ ...claims, exp: null }),
    'not yet valid': signJwt({ ...claims, nbf: now() + 62 }),
    'without sub': signJwt({ scope: 'admin' }),
    'empty sub': signJwt({ ...claims, sub: '' }),
    'sub not text': signJwt({ ...claims, sub: { $ne: null } }),
    'sub with NUL': signJwt({ ...claims, sub: 'a\0b' }),
    'sub too long': signJwt({ ...claims, sub: 'a'.repeat(201) }),
    'tid not a name': signJwt({ ...claims, tid: { $ne: null } }),
    'tid of dots': signJwt({ ...claims, tid: '../x' }),
    'empty tid': signJwt({ ...claims, tid: '' }),
    'scope as a list': signJwt({ ...claims, scope: ['admin'] }),
    'alg none': `${none}.${body}.`,
    'alg none, signed': `${none}.${body}.${signature}`,
    'another secret': signJwt(claims, { secret: `${JWT_SECRET}x` }),
    'alg RS256': signJwt(claims, { header: { alg: 'RS256', typ: 'JWT' } }),
    'alg HS512': signJwt(claims, { header: { alg: 'HS512', typ: 'JWT' } }),
    'alg hs256': signJwt(claims, { header: { alg: 'hs256', typ: 'JWT' } }),
    'no alg': signJwt(claims, { header: { typ: 'JWT' } }),
    'unknown crit': signJwt(claims, { header: { alg: 'HS256', typ: 'JWT', crit: ['x'], x: 1 } }),
    'without signature': `${head}.${body}.`,
    'two parts': `${head}.${body}`,
    'four parts': `${signed}.${signature}`,
    'another body': `${head}.${Buffer.from(JSON.stringify({ ...claims, exp: now() + 600, sub: 'root' })).toString('base64url')}.${signature}`,
    'a body that is not JSON': `${head}.eA.${signature}`,
    nonsense: 'a.b.c',
    dots: '..'
  }
  for (const [label, token] of Object.entries(wrong)) await isRefused(t, withBearer(token), label)
  await isRefused(t, client.with({ 'x-api-key': signed }), 'a JWT in X-API-Key')
  t.equal((await withBearer(signed).ask('/api/configs')).status, 200, 'the whole one is good')
  isProblem(t, await bearer(client, { sub: 'anna' }).ask('/api/configs'), 'forbidden',
    'one without scope is good for nothing')
})

t.test('issuer and audience are required where they are set', async (t) => {
  const { client } = await startApp(t, { JWT_SECRET, JWT_ISSUER: 'https://issuer.example', JWT_AUDIENCE: 'parley' })
  const good = { sub: 'anna', scope: 'configs:read', iss: 'https://issuer.example', aud: 'parley' }
  for (const claims of [good, { ...good, aud: ['other', 'parley'] }]) {
    t.equal((await bearer(client, claims).ask('/api/configs')).status, 200)
  }
  const { iss: _i, ...noIssuer } = good
  const { aud: _a, ...noAudience } = good
  const wrong = {
    'another issuer': { ...good, iss: 'https://issuer.example.evil' },
    'no issuer': noIssuer,
    'another audience': { ...good, aud: 'parley2' },
    'no audience': noAudience,
    'an empty audience': { ...good, aud: [] }
  }
  for (const [label, claims] of Object.entries(wrong)) await isRefused(t, bearer(client, claims), label)
})

t.test('without a secret every JWT is refused, one signed with nothing included', async (t) => {
  const { client } = await startApp(t)
  for (const secret of [JWT_SECRET, '', 'undefined']) {
    await isRefused(t, client.with({ authorization: `Bearer ${signJwt({ sub: 'anna', scope: 'admin' }, { secret })}` }), 'no secret')
  }
})

t.test('every operation names its scopes', async (t) => {
  const [configsRead, configsWrite] = [['configs:read'], ['configs:write']]
  const [reading, writing] = [['sessions:read', 'chat'], ['sessions:write', 'chat']]
  const expected: Record<string, string[]> = {
    createConfig: configsWrite,
    listConfigs: configsRead,
    getConfig: configsRead,
    replaceConfig: configsWrite,
    patchConfig: configsWrite,
    deleteConfig: configsWrite,
    getRetention: ['admin'],
    setRetention: ['admin'],
    createLegalHold: ['admin'],
    listLegalHolds: ['admin'],
    getLegalHold: ['admin'],
    liftLegalHold: ['admin'],
    createSession: writing,
    listSessions: reading,
    getSession: reading,
    patchSession: writing,
    deleteSession: writing,
    sendMessage: writing,
    listMessages: reading,
    getMessage: reading,
    streamMessage: reading,
    stopMessage: writing,
    listConfigVersions: configsRead,
    getConfigVersion: configsRead,
    diffConfigVersions: configsRead,
    rollbackConfig: configsWrite,
    exportConfig: configsRead,
    importConfig: configsWrite,
    createSpecification: configsWrite,
    listSpecifications: configsRead,
    getSpecification: configsRead,
    summariseSession: writing,
    getSummary: reading,
    clearMessages: writing,
    editMessage: writing,
    deleteMessage: writing,
    regenerateMessage: writing,
    listBranches: reading,
    listVariants: reading,
    rateMessage: writing,
    unrateMessage: writing,
    listFeedback: reading,
    followSession: reading,
    followTenant: ['sessions:read'],
    eraseEndUser: ['sessions:write'],
    getErasure: ['sessions:read', 'sessions:write'],
    listErasures: ['sessions:read', 'sessions:write'],
    exportSession: reading,
    exportAll: ['admin'],
    importAll: ['admin'],
    listAuditEntries: ['admin'],
    getUsage: ['admin'],
    getQuotas: ['admin'],
    setQuotas: ['admin'],
    setTenantQuota: ['platform'],
    searchMessages: reading,
    ...Object.fromEntries(['createIntegration', 'patchIntegration', 'rotateIntegration', 'deleteIntegration'].map((id) => [id, ['webhooks:write']])),
    ...Object.fromEntries(['listIntegrations', 'getIntegration', 'getWebhookDelivery'].map((id) => [id, ['webhooks:read']])),
    ...Object.fromEntries(['createWebhookEndpoint', 'patchWebhookEndpoint', 'rotateWebhookSecret', 'deleteWebhookEndpoint', 'testWebhookEndpoint', 'redeliverWebhooks',
      'redeliverEndpointDelivery'].map((id) => [id, ['webhooks:write']])),
    ...Object.fromEntries(['listWebhookEndpoints', 'getWebhookEndpoint', 'listEndpointDeliveries', 'getEndpointDelivery'].map((id) => [id, ['webhooks:read', 'webhooks:write']])),
    explainWebhook: ['webhooks:read', 'webhooks:write'],
    receiveMessage: ['chat'],
    receiveWebhook: [],
    verifyWebhookAddress: [],
    createChatCompletion: writing,
    createEmbeddings: writing,
    createResponse: writing,
    cancelResponse: writing,
    deleteResponse: writing,
    getResponse: reading,
    listInputItems: reading,
    listModels: ['configs:read', 'chat'],
    getModel: ['configs:read', 'chat'],
    ...Object.fromEntries(['createKey', 'listKeys', 'getKey', 'rotateKey', 'revokeKey'].map((id) => [id, ['admin']])),
    createVisitorToken: ['sessions:write'],
    ...Object.fromEntries(['listMembers', 'patchMember', 'removeMember', 'createInvitation', 'listInvitations', 'withdrawInvitation']
      .map((id) => [id, ['admin']])),
    ...Object.fromEntries(['listTenants', 'getTenant', 'patchTenant', 'getLogLevel', 'setLogLevel'].map((id) => [id, ['platform']])),
    ...Object.fromEntries(['getProfile', 'updateProfile', 'changePassword', 'listOwnTenants', 'resendVerification']
      .map((id) => [id, ['account']])),
    ...Object.fromEntries(['registerAccount', 'logIn', 'refreshSignIn', 'logOut', 'verifyEmail', 'requestPasswordReset',
      'confirmPasswordReset', 'acceptInvitation', 'getCsrfToken', 'beginProviderLogin', 'endProviderLogin'].map((id) => [id, []])),
    ...Object.fromEntries(['grantToken', 'getJwks', 'getHealth', 'getLiveness', 'getReadiness', 'getMetrics', 'getOpenApiJson',
      'getOpenApiYaml', 'getOlderOpenApiJson'].map((id) => [id, []]))
  }
  t.same(Object.fromEntries(operations().map(({ id, scopes }) => [id, scopes])), expected)
})

t.test('a route that does not say whom it is for stops the start', async (t) => {
  const build = async () => {
    const database = databaseName()
    const built = await buildApp(loadConfig({ MONGODB_URI: await storeUri(), MONGODB_DATABASE: database, JWT_SECRET }))
    t.teardown(async () => {
      await built.mongo.client.db(database).dropDatabase()
      await built.close()
    })
    return built
  }
  const forgetful = await build()
  await t.rejects(async () => {
    forgetful.get('/forgotten', async () => 'hello')
    await forgetful.ready()
  }, { message: '/forgotten declares no scope' })

  const extended = await build()
  extended.get('/guarded', { config: { scope: 'admin' } }, async ({ principal }) => principal.tenantId)
  extended.get('/wrong', { config: { scope: 'public' } }, async ({ principal }) => principal.tenantId)
  extended.get('/broken', { config: { scope: 'public' } },
    async () => { throw new Error('password=hunter2 at node_modules/driver.ts:7') })
  extended.get('/teapot', { config: { scope: 'public' } },
    async () => { throw Object.assign(new Error('short and stout'), { statusCode: 418 }) })
  extended.get('/away', { config: { scope: 'public' } },
    async () => { throw new MongoNetworkError('connect ECONNREFUSED 10.0.0.7:27017') })
  await extended.ready()
  t.equal((await extended.inject('/guarded')).statusCode, 401)
  t.equal((await extended.inject({
    url: '/guarded',
    headers: { authorization: `Bearer ${signJwt({ sub: 'a', tid: 'b', scope: 'admin' })}` }
  })).body, 'b')
  const failures = {
    '/wrong': [500, 'internal'],
    '/broken': [500, 'internal'],
    '/teapot': [400, 'validation_failed'],
    '/away': [503, 'store_unavailable']
  }
  for (const [url, [status, code]] of Object.entries(failures)) {
    const answer = await extended.inject(url)
    t.match(answer.json(), { status, code, instance: url, requestId: String }, url)
    t.notMatch(answer.body, /hunter2|stout|10\.0\.0\.7|principal|driver/, `${url} tells nothing of the inside`)
  }
  t.equal((await extended.inject('/away')).headers['retry-after'], '1')
})

t.test('the first start makes a key and keeps it, and no later one does', async (t) => {
  const { app, db } = await startApp(t)
  const config = loadConfig({ DATA_DIR: join(await temporaryFolder(t), 'made', 'here') })
  t.equal(await ensureFirstKey(config, app.store.apiKeys), undefined, 'somebody has a key already')
  await db.collection('apiKeys').deleteMany({})
  await t.rejects(ensureFirstKey(loadConfig({ NODE_ENV: 'production' }), app.store.apiKeys),
    { name: 'ConfigError', message: /^BOOTSTRAP_API_KEY / })
  const key = await ensureFirstKey(config, app.store.apiKeys)
  t.match(key, /^pk_[0-9A-Za-z]{8}_[0-9A-Za-z]{32}$/)
  t.equal((await readFile(firstKeyFile(config), 'utf8')).trim(), key)
  t.equal((await stat(firstKeyFile(config))).mode & 0o777, 0o600)
  t.match(await app.store.apiKeys.findByPrefix(apiKeyPrefix(key!)!),
    { tenantId: 'default', scopes: ['admin', 'platform'], hash: hashApiKey(key!) })
  t.equal(await ensureFirstKey(config, app.store.apiKeys), undefined)
})
