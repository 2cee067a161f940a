import t, { type Test } from 'tap'
import { isProblem, signJwt } from '../edge.ts'
import { startApp } from '../helper.ts'
import { PASSWORD, startPeople } from './people.ts'

const { app, db, nobody, as, register, login, refresh, newcomer, client, env } = await startPeople(t)
// Another replica. It goes with the file, as it takes the database along.
const other = await startApp(t, { ...env, MONGODB_DATABASE: db.databaseName })
const later = (t: Test, ms: number) => {
  const original = performance.now.bind(performance)
  t.intercept(performance, 'now', { value: () => original() + ms })
}

t.test('somebody registers, signs in before the address is confirmed, and owns the tenant', async (t) => {
  const registered = await register('Ada@Example.org', { name: 'Ada', tenantName: 'Parcels' })
  t.equal(registered.status, 201)
  t.strictSame(registered.body, {
    user: { id: (registered.body['user'] as { id: string }).id, email: 'ada@example.org', name: 'Ada', role: 'owner' },
    tenant: { id: (registered.body['tenant'] as { id: string }).id, name: 'Parcels' }
  })
  const { status, body, headers } = await login('ADA@example.org')
  t.equal(status, 200)
  t.match(body, { token: /^ey/, refreshToken: /^rt_/, user: { email: 'ada@example.org', name: 'Ada', role: 'owner' }, tenant: { name: 'Parcels' } })
  t.equal(body.csrfToken, undefined)
  t.equal(headers.get('set-cookie'), null)
  t.ok(new Date(body.expiresAt) > new Date())
  const claims = JSON.parse(Buffer.from(body.token.split('.')[1]!, 'base64url').toString()) as Record<string, unknown>
  t.match(claims, { sub: body.user.id, tid: body.tenant.id, email: 'ada@example.org', role: 'owner', scope: 'admin', fam: /^[0-9a-f]{24}$/ })
  await as(body).createConfig()
  t.equal((await as(body).ask('/api/members')).status, 200)
  isProblem(t, await as(body).ask('/api/tenants'), 'forbidden', 'an owner is not over all tenants')
  t.equal((await register('b@example.org')).body['tenant'] !== undefined, true, 'the tenant is named by itself')
})

t.test('an address has one account', async (t) => {
  await newcomer('one@example.org')
  isProblem(t, await register('One@example.org'), 'conflict')
  const many = await Promise.all(Array.from({ length: 4 }, async () => await register('many@example.org')))
  t.same(many.map(({ status }) => status).sort(), [201, 409, 409, 409])
  const { id } = (await login('many@example.org')).body.user
  t.equal(await db.collection('tenants').countDocuments({ 'members.userId': id }), 1, 'and no tenant without one is left')
})

t.test('nobody gives themselves what is not theirs to give, and passwords are held against rules', async (t) => {
  for (const more of [{ role: 'admin' }, { tenantId: 'default' }, { memberships: [] }, { platformAdmin: true }, { emailVerifiedAt: '2026-01-01' }, { scopes: ['platform'] }, { _id: 'x' }]) {
    isProblem(t, await register('wrong@example.org', more), 'validation_failed', JSON.stringify(more))
  }
  const wrong = [
    { email: 'nobody' }, { email: 'a@b@c' }, { email: 'a@example.org\r\nBcc: b@example.org' }, { email: `${'a'.repeat(250)}@x.org` },
    { email: 'ünicode@example.org' }, { email: { $ne: null } }, { name: ' ' }, { name: 'a\0b' },
    { password: 'short12' }, { password: 'x'.repeat(201) }, { password: 'Password123!' }, { password: 'qwertyuiop' }, { password: 'abababababab' },
    { password: 'wrong@example.org' }, { password: 'Wrong@example.org1' }, { name: 'Wrong Person', password: 'wrongperson' }
  ]
  for (const more of wrong) isProblem(t, await register('wrong@example.org', more), 'validation_failed', JSON.stringify(more))
  t.equal(await db.collection('users').countDocuments({ email: /wrong/ }), 0)
})

t.test('a wrong password and an unknown account are refused alike, after the same work', async (t) => {
  await newcomer('known@example.org')
  const seen = async (email: string, password: string) => {
    const { status, headers, body: { requestId: _r, ...rest } } = await nobody.ask('/api/auth/login', { body: { email, password } })
    return JSON.stringify([status, headers.get('www-authenticate'), rest])
  }
  const [known, unknown] = [await seen('known@example.org', 'wrong horse'), await seen('unknown@example.org', 'wrong horse')]
  t.equal(known, unknown)
  t.match(known, /unauthenticated/)
  await db.collection('users').updateOne({ email: 'known@example.org' }, { $set: { passwordHash: null } })
  t.equal(await seen('known@example.org', PASSWORD), unknown, 'an account without a password')
  isProblem(t, await login('known@example.org', { password: '' }), 'validation_failed')
  isProblem(t, await login('known@example.org', { role: 'owner' }), 'validation_failed')
})

t.test('passwords are stored as argon2id, and hashed anew when the parameters move', async (t) => {
  await newcomer('hash@example.org')
  const stored = async () => (await db.collection('users').findOne({ email: 'hash@example.org' }))!['passwordHash'] as string
  t.match(await stored(), /^\$argon2id\$v=19\$m=19456,t=2,p=1\$[A-Za-z0-9+/]{22}\$[A-Za-z0-9+/]{43}$/)
  const { argon2Sync } = await import('node:crypto')
  const weak = argon2Sync('argon2id', { message: PASSWORD, nonce: Buffer.alloc(16), parallelism: 1, tagLength: 32, memory: 64, passes: 1 })
  const unpadded = (bytes: Buffer) => bytes.toString('base64').replaceAll('=', '')
  await db.collection('users').updateOne({ email: 'hash@example.org' },
    { $set: { passwordHash: `$argon2id$v=19$m=64,t=1,p=1$${unpadded(Buffer.alloc(16))}$${unpadded(weak)}` } })
  t.equal((await login('hash@example.org')).status, 200)
  t.match(await stored(), /m=19456,t=2,p=1/)
  t.equal((await login('hash@example.org')).status, 200)
})

t.test('a refresh token is good once; shown again, it ends the sign-in', async (t) => {
  const first = await newcomer('rotate@example.org')
  const second = (await refresh(first.refreshToken)).body
  t.match(second, { token: /^ey/, refreshToken: /^rt_/, user: first.user, tenant: first.tenant })
  t.not(second.refreshToken, first.refreshToken)
  t.equal((await as(second).ask('/api/auth/profile')).status, 200)
  isProblem(t, await refresh(first.refreshToken), 'unauthenticated', 'reused')
  isProblem(t, await refresh(second.refreshToken), 'unauthenticated', 'the newest one has died with it')
  isProblem(t, await as(second).ask('/api/auth/profile'), 'unauthenticated', 'and so have the access tokens')
  isProblem(t, await as(first).ask('/api/auth/profile'), 'unauthenticated')
})

t.test('of two refreshes at once, one is answered, and the sign-in ends', async (t) => {
  const { refreshToken } = await newcomer('parallel@example.org')
  const answers = await Promise.all(Array.from({ length: 5 }, async () => await refresh(refreshToken)))
  const good = answers.filter(({ status }) => status === 200)
  t.ok(good.length <= 1)
  t.equal(answers.filter(({ status }) => status === 401).length, 5 - good.length)
  for (const { body } of good) isProblem(t, await refresh(body.refreshToken), 'unauthenticated')
})

t.test('what is no refresh token ends nothing', async (t) => {
  const { refreshToken, token } = await newcomer('guess@example.org')
  const [head, family, secret] = refreshToken.split('.') as [string, string, string]
  const other = 'A'.repeat(43)
  for (const wrong of ['x', token, refreshToken.slice(0, -1), `${head}.${other}.${secret}`, `${head}.${other}.${other}`, `rt_${'f'.repeat(24)}.${family}.${secret}`]) {
    isProblem(t, await refresh(wrong), 'unauthenticated', wrong.slice(0, 12))
    t.equal((await nobody.ask('/api/auth/logout', { body: { refreshToken: wrong } })).status, 204)
  }
  isProblem(t, await nobody.ask('/api/auth/refresh', { body: {} }), 'unauthenticated', 'nothing')
  isProblem(t, await nobody.ask('/api/auth/refresh', { body: { refreshToken: { $ne: null } } }), 'validation_failed')
  isProblem(t, await as({ token: refreshToken }).ask('/api/auth/profile'), 'unauthenticated', 'as an access token')
  t.equal((await refresh(refreshToken)).status, 200, 'the right one is still good')
})

t.test('a sign-in ends by itself', async (t) => {
  const { refreshToken, user } = await newcomer('end@example.org')
  const families = db.collection('refreshFamilies')
  const next = (await refresh(refreshToken)).body.refreshToken
  const soon = new Date(Date.now() + 60_000)
  await families.updateOne({ userId: user.id }, { $set: { endsAt: soon } })
  const last = (await refresh(next)).body.refreshToken
  t.same((await families.findOne({ userId: user.id }))!['expiresAt'], soon, 'no refresh goes beyond its end')
  await families.updateOne({ userId: user.id }, { $set: { expiresAt: new Date(Date.now() - 1) } })
  isProblem(t, await refresh(last), 'unauthenticated')
})

t.test('the oldest of more than twenty sign-ins ends', async (t) => {
  const { refreshToken, user } = await newcomer('many-devices@example.org')
  const { insertedCount } = await db.collection('refreshFamilies').insertMany(Array.from({ length: 19 }, (_, i) => ({
    userId: user.id, tenantId: 'x', createdAt: new Date(Date.now() + i), expiresAt: new Date(Date.now() + 60_000)
  })))
  t.equal(insertedCount, 19)
  await db.collection('refreshFamilies').updateMany({ tenantId: 'x' }, { $set: { createdAt: new Date() } })
  t.equal((await login('many-devices@example.org')).status, 200)
  t.equal(await db.collection('refreshFamilies').countDocuments({ userId: user.id }), 20)
  isProblem(t, await refresh(refreshToken), 'unauthenticated')
})

t.test('who logs out is out, on another replica too', async (t) => {
  const signIn = await newcomer('out@example.org')
  const elsewhere = other.client.with({ authorization: `Bearer ${signIn.token}` })
  t.equal((await elsewhere.ask('/api/auth/profile')).status, 200)
  t.equal((await as(signIn).ask('/api/auth/profile')).status, 200)
  t.equal((await nobody.ask('/api/auth/logout', { body: { refreshToken: signIn.refreshToken } })).status, 204)
  isProblem(t, await refresh(signIn.refreshToken), 'unauthenticated')
  isProblem(t, await as(signIn).ask('/api/auth/profile'), 'unauthenticated', 'at once where it is told')
  later(t, 5001)
  isProblem(t, await elsewhere.ask('/api/auth/profile'), 'unauthenticated')
})

t.test('a refresh of an account that is gone is refused', async (t) => {
  const { refreshToken, user } = await newcomer('gone@example.org')
  const { ObjectId } = await import('mongodb')
  const gone = await db.collection('users').findOneAndDelete({ _id: new ObjectId(user.id) })
  isProblem(t, await refresh(refreshToken), 'unauthenticated')
  await db.collection('users').insertOne(gone!)
  isProblem(t, await refresh(refreshToken), 'unauthenticated', 'and its sign-in has ended')
})

t.test('tries are limited, and a server that cannot sign or does not register says so', async (t) => {
  const { login, register, nobody } = await startPeople(t, {
    RATE_LIMIT_LOGIN_ACCOUNT: '2', RATE_LIMIT_REGISTRATION_IP: '1', RATE_LIMIT_LOGIN_IP: '50'
  })
  t.equal((await register('limited@example.org')).status, 201)
  isProblem(t, await register('limited2@example.org'), 'rate_limited')
  for (const email of ['limited@example.org', 'unknown@example.org']) {
    for (let i = 0; i < 2; i++) isProblem(t, await login(email, { password: 'wrong' }), 'unauthenticated')
    isProblem(t, await login(email), 'rate_limited', email)
  }
  const { client: unsigned } = await startApp(t, { NODE_ENV: 'production' })
  for (const path of ['/api/auth/login', '/api/auth/register', '/api/auth/profile', '/api/invitations']) {
    isProblem(t, await unsigned.ask(path, path.endsWith('in') ? { body: {} } : {}), path.endsWith('register') ? 'method_not_allowed' : 'not_found', path)
  }
  const closed: Array<Record<string, string>> = [{ REGISTRATION: 'closed' }, { REGISTRATION: 'invite' }, { NODE_ENV: 'production' }]
  for (const env of closed) {
    const { register } = await startPeople(t, env)
    isProblem(t, await register('closed@example.org'), 'forbidden', JSON.stringify(env))
  }
  t.equal((await nobody.ask('/api/auth/logout', { body: {} })).status, 204)
})

t.test('only a person who has signed in has an account', async (t) => {
  isProblem(t, await client.ask('/api/auth/profile'), 'forbidden', 'a key')
  isProblem(t, await as({ token: signJwt({ sub: 'anna', scope: 'admin' }) }).ask('/api/auth/profile'), 'forbidden', 'a token of another issuer')
  t.equal(app.accessTokens.canIssue, true)
})
