import t, { type Test } from 'tap'
import { isProblem, nobody as unknown, pages, signJwt } from '../edge.ts'
import { startApp, type Client } from '../helper.ts'
import { PASSWORD, startPeople, type SignInView } from './people.ts'

const people = await startPeople(t, { PLATFORM_ADMINS: ' Root@example.org, other@example.org' })
const { db, env, as, nobody, login, newcomer, invited, mailbox, client, clientFor, refresh } = people
// Another replica. It goes with the file, as it takes the database along.
const other = await startApp(t, { ...env, MONGODB_DATABASE: db.databaseName })
const later = (t: Test) => {
  const original = performance.now.bind(performance)
  t.intercept(performance, 'now', { value: () => original() + 5001 })
}
const elsewhere = ({ token }: SignInView) => other.client.with({ authorization: `Bearer ${token}` })
const setRole = async (who: Client, { user }: SignInView, role: string) => await who.ask(`/api/members/${user.id}`, { method: 'PATCH', body: { role } })
const remove = async (who: Client, { user }: SignInView) => await who.ask(`/api/members/${user.id}`, { method: 'DELETE' })
const accept = async (body: Record<string, unknown>) => await nobody.ask<SignInView>('/api/auth/invitations/accept', { body })

const owner = await newcomer('owner@example.org', { tenantName: 'Parcels' })
const boss = as(owner)

t.test('somebody new is invited, and joins with a name and a password', async (t) => {
  const { status, body, headers } = await boss.ask('/api/invitations', { body: { email: 'New@Example.org', role: 'member' } })
  t.equal(status, 201)
  t.strictSame(Object.keys(body).sort(), ['createdAt', 'email', 'expiresAt', 'id', 'role'], 'the token is in the mail alone')
  t.equal(headers.get('x-request-id') !== null, true)
  const mail = await mailbox.take('new@example.org')
  t.match(mail.text, /Parcels as member/)
  const token = /#token=([\w-]{43})$/m.exec(mail.text)![1]!
  t.notMatch(JSON.stringify(await db.collection('invitations').find().toArray()), token)
  t.match((await boss.ask('/api/invitations')).body, { data: [{ email: 'new@example.org', role: 'member' }], nextCursor: null })

  isProblem(t, await accept({ token }), 'validation_failed', 'without a name and a password')
  isProblem(t, await accept({ token, name: 'New', password: 'new@example.org' }), 'validation_failed', 'with a bad password')
  isProblem(t, await accept({ token, name: 'New', password: PASSWORD, role: 'owner' }), 'validation_failed', 'with another role')
  isProblem(t, await accept({ token: 'A'.repeat(43), name: 'New', password: PASSWORD }), 'validation_failed', 'with another token')
  const answers = await Promise.all([1, 2, 3].map(async () => await accept({ token, name: 'New', password: PASSWORD })))
  t.same(answers.map(({ status }) => status).sort(), [200, 400, 400], 'it is good once')
  const joined = answers.find(({ status }) => status === 200)!.body
  t.match(joined, { user: { email: 'new@example.org', role: 'member' }, tenant: owner.tenant, refreshToken: /^rt_/ })
  t.match((await as(joined).ask('/api/auth/profile')).body, { emailVerified: true, role: 'member' })
  isProblem(t, await as(joined).ask('/api/members'), 'forbidden', 'a member does not see to members')
  await as(joined).createConfig()
  isProblem(t, await boss.ask('/api/invitations', { body: { email: 'new@example.org', role: 'member' } }), 'conflict', 'is a member already')
})

t.test('somebody with an account joins with its password, and may choose where to sign in', async (t) => {
  const elsewhere = await newcomer('two@example.org', { tenantName: 'Own' })
  await boss.ask('/api/invitations', { body: { email: 'two@example.org', role: 'admin' } })
  await mailbox.take('two@example.org')
  const token = await mailbox.token('two@example.org')
  isProblem(t, await accept({ token }), 'validation_failed')
  isProblem(t, await accept({ token, password: 'another password' }), 'unauthenticated')
  const joined = await accept({ token, password: PASSWORD, cookie: true })
  t.match(joined, { status: 200, body: { user: { id: elsewhere.user.id, role: 'admin' }, tenant: owner.tenant, csrfToken: /./ } })
  t.equal(joined.body.refreshToken, undefined)
  const list = (await as(joined.body).ask<{ data: unknown[] }>('/api/auth/tenants')).body
  t.match(list, { data: [{ ...elsewhere.tenant, role: 'owner' }, { ...owner.tenant, role: 'admin' }], nextCursor: null })
  t.match((await login('two@example.org')).body.tenant, elsewhere.tenant, 'the one joined first')
  t.match((await login('two@example.org', { tenantId: owner.tenant.id })).body, { tenant: owner.tenant, user: { role: 'admin' } })
  for (const tenantId of ['default', unknown]) isProblem(t, await login('two@example.org', { tenantId }), 'forbidden')
  isProblem(t, await login('two@example.org', { tenantId: '../x' }), 'validation_failed')
  t.equal((await remove(boss, joined.body)).status, 204)
})

t.test('an invitation is withdrawn, replaced, repeated safely, and lapses', async (t) => {
  const invite = async (headers: Record<string, string> = {}) =>
    await boss.ask<{ id: string }>('/api/invitations', { body: { email: 'maybe@example.org', role: 'viewer' }, headers })
  const { body: first } = await invite()
  const firstToken = await mailbox.token('maybe@example.org')
  t.equal((await boss.ask(`/api/invitations/${first.id}`, { method: 'DELETE' })).status, 204)
  isProblem(t, await boss.ask(`/api/invitations/${first.id}`, { method: 'DELETE' }), 'not_found')
  isProblem(t, await accept({ token: firstToken, name: 'Maybe', password: PASSWORD }), 'validation_failed')
  const { body: second } = await invite({ 'idempotency-key': 'maybe-1' })
  const secondToken = await mailbox.token('maybe@example.org')
  await db.collection('idempotencyRecords').updateMany({}, { $set: { answer: null } })
  t.same((await invite({ 'idempotency-key': 'maybe-1' })).body, second, 'an attempt whose answer was not kept')
  const { body: third } = await invite()
  isProblem(t, await accept({ token: secondToken, name: 'Maybe', password: PASSWORD }), 'validation_failed', 'replaced')
  const thirdToken = await mailbox.token('maybe@example.org')
  const { ObjectId } = await import('mongodb')
  await db.collection('invitations').updateOne({ _id: new ObjectId(third.id) }, { $set: { expiresAt: new Date() } })
  isProblem(t, await accept({ token: thirdToken, name: 'Maybe', password: PASSWORD }), 'validation_failed', 'lapsed')
  await db.collection('invitations').insertMany(Array.from({ length: 500 }, (_, i) => ({
    tenantId: owner.tenant.id, tokenHash: String(i), email: `${i}@example.org`, role: 'viewer', createdAt: new Date(), expiresAt: new Date(Date.now() + 60_000)
  })))
  isProblem(t, await invite(), 'conflict', 'too many')
  await db.collection('invitations').deleteMany({})
})

t.test('owners are made and touched by owners only', async (t) => {
  const [admin, member] = [await invited(boss, 'admin@example.org', 'admin'), await invited(boss, 'm@example.org', 'member')]
  const helper = as(admin)
  for (const answer of [
    await setRole(helper, owner, 'member'), await remove(helper, owner), await setRole(helper, member, 'owner'), await setRole(helper, admin, 'owner'),
    await helper.ask('/api/invitations', { body: { email: 'x@example.org', role: 'owner' } }),
    await setRole(await clientFor(owner.tenant.id, 'admin'), member, 'owner'), await remove(await clientFor(owner.tenant.id, 'admin'), owner)
  ]) isProblem(t, answer, 'forbidden')
  t.match(await setRole(helper, member, 'viewer'), { status: 200, body: { id: member.user.id, role: 'viewer', email: 'm@example.org' } })
  t.match(await setRole(helper, member, 'viewer'), { status: 200, body: { role: 'viewer' } }, 'nothing to change')
  isProblem(t, await setRole(helper, member, 'king'), 'validation_failed')
  for (const who of [await clientFor('elsewhere', 'admin'), client]) isProblem(t, await setRole(who, member, 'admin'), 'not_found')
  isProblem(t, await remove(boss, { ...member, user: { ...member.user, id: unknown } }), 'not_found')

  t.match(await setRole(boss, admin, 'owner'), { status: 200, body: { role: 'owner' } })
  const second = (await login('admin@example.org')).body
  t.match(await setRole(as(second), owner, 'admin'), { status: 200 })
  t.match(await setRole(as(second), owner, 'owner'), { status: 200 })
  t.equal((await setRole(as(second), second, 'admin')).status, 200)
})

t.test('the last owner stays, whoever tries what at once', async (t) => {
  const one = await newcomer('o1@example.org')
  isProblem(t, await setRole(as(one), one, 'member'), 'conflict')
  isProblem(t, await remove(as(one), one), 'conflict')
  const two = await invited(as(one), 'o2@example.org', 'owner')
  const statuses = await Promise.all([
    setRole(as(one), two, 'admin'), setRole(as(two), one, 'admin'), remove(as(one), one), remove(as(two), two)
  ])
  t.ok(statuses.some(({ status }) => status >= 400))
  const { members } = (await db.collection<{ _id: string, members: Array<{ role: string }> }>('tenants').findOne({ _id: one.tenant.id }))!
  t.equal(members.filter(({ role }) => role === 'owner').length >= 1, true)
})

t.test('what a member was, ends within five seconds on every replica', async (t) => {
  const boss = as((await login('owner@example.org')).body)
  const [gone, changed] = [await invited(boss, 'gone@example.org', 'member'), await invited(boss, 'changed@example.org', 'member')]
  for (const who of [gone, changed]) t.equal((await elsewhere(who).ask('/api/configs')).status, 200)
  t.equal((await remove(boss, gone)).status, 204)
  t.equal((await setRole(boss, changed, 'viewer')).status, 200)
  for (const who of [gone, changed]) isProblem(t, await refresh(who.refreshToken), 'unauthenticated')
  isProblem(t, await login('gone@example.org'), 'forbidden', 'a member of nothing')
  t.match((await login('changed@example.org')).body, { user: { role: 'viewer' } })
  later(t)
  for (const who of [gone, changed]) isProblem(t, await elsewhere(who).ask('/api/configs'), 'unauthenticated')
})

t.test('members are listed page by page, and a tenant of keys gets its first owner by a key', async (t) => {
  const key = await clientFor('keys-only', 'admin')
  t.same((await key.ask('/api/members')).body, { data: [], nextCursor: null })
  const first = await invited(key, 'k1@example.org', 'owner')
  t.match(first, { user: { role: 'owner' }, tenant: { id: 'keys-only', name: 'keys-only' } })
  for (const email of ['k2@example.org', 'k3@example.org']) await invited(as(first), email, 'member')
  const found = await pages<{ email: string }>(key, '/api/members', 2)
  t.same(found.map(({ length }) => length), [2, 1])
  t.same(found.flat().map(({ email }) => email).sort(), ['k1@example.org', 'k2@example.org', 'k3@example.org'])
  isProblem(t, await key.ask('/api/members?cursor=x'), 'validation_failed')
  const { members } = (await db.collection<{ _id: string, members: unknown[] }>('tenants').findOne({ _id: 'keys-only' }))!
  const crowd = Array.from({ length: 1000 - members.length }, (_, i) => ({ userId: i.toString(16).padStart(24, '0'), role: 'viewer', joinedAt: new Date() }))
  await db.collection<{ _id: string }>('tenants').updateOne({ _id: 'keys-only' }, { $set: { members: [...members, ...crowd] } })
  t.equal((await key.ask('/api/invitations', { body: { email: 'k4@example.org', role: 'member' } })).status, 201)
  isProblem(t, await accept({ token: await mailbox.token('k4@example.org'), name: 'Late', password: PASSWORD }), 'conflict', 'no room')
})

t.test('who runs the server sees to the tenants, once the address is confirmed', async (t) => {
  const unconfirmed = await newcomer('root@example.org')
  isProblem(t, await as(unconfirmed).ask('/api/tenants'), 'forbidden')
  const token = await mailbox.token('root@example.org')
  t.equal((await nobody.ask('/api/auth/verify-email', { body: { token } })).status, 204)
  const root = (await refresh(unconfirmed.refreshToken)).body
  const platform = as(root)
  isProblem(t, await (await clientFor('default', 'admin')).ask('/api/tenants'), 'forbidden', 'an admin of a tenant is not one of the platform')
  const found = await pages<{ id: string }>(platform, '/api/tenants', 2)
  t.ok(found.flat().some(({ id }) => id === owner.tenant.id))
  isProblem(t, await platform.ask('/api/tenants?cursor=!'), 'validation_failed')
  const path = `/api/tenants/${owner.tenant.id}`
  const patch = async (who: Client, path: string, body: unknown) => await who.ask(path, { method: 'PATCH', body })
  t.match((await platform.ask(path)).body, { id: owner.tenant.id, name: 'Parcels', status: 'active' })
  for (const path of ['/api/tenants/nowhere', '/api/tenants/a.b']) {
    isProblem(t, await platform.ask(path), 'not_found')
    isProblem(t, await patch(platform, path, { name: 'x' }), 'not_found')
  }
  t.match((await patch(platform, path, {})).body, { name: 'Parcels' })
  isProblem(t, await patch(platform, path, { members: [] }), 'validation_failed')
  isProblem(t, await patch(platform, `/api/tenants/${root.tenant.id}`, { status: 'suspended' }), 'conflict', 'their own')

  const signIn = (await login('owner@example.org')).body
  const key = await clientFor(owner.tenant.id, 'admin')
  const foreign = other.client.with({ authorization: `Bearer ${signJwt({ sub: 'a', tid: owner.tenant.id, scope: 'admin' })}` })
  const all = [elsewhere(signIn), key, foreign]
  for (const who of all) t.equal((await who.ask('/api/configs')).status, 200)
  t.match((await patch(platform, path, { status: 'suspended', name: 'Stopped' })).body, { status: 'suspended', name: 'Stopped' })
  isProblem(t, await login('owner@example.org'), 'forbidden')
  isProblem(t, await refresh(signIn.refreshToken), 'forbidden')
  await t.test('within five seconds', async (t) => {
    later(t)
    for (const who of all) isProblem(t, await who.ask('/api/configs'), 'forbidden')
    t.equal((await patch(platform, path, { status: 'active' })).status, 200)
  })
  t.match((await refresh(signIn.refreshToken)).status, 200, 'and goes on where it was')
})

t.test('where nobody may register, who was invited still may, unless nobody at all may', async (t) => {
  const open = await startPeople(t, { REGISTRATION: 'invite' })
  t.match(await open.invited(open.client, 'in@example.org', 'admin'), { user: { role: 'admin' }, tenant: { id: 'default' } })
  const closed = await startPeople(t, { REGISTRATION: 'closed' })
  await closed.client.ask('/api/invitations', { body: { email: 'in@example.org', role: 'admin' } })
  const token = await closed.mailbox.token('in@example.org')
  isProblem(t, await closed.nobody.ask('/api/auth/invitations/accept', { body: { token, name: 'In', password: PASSWORD } }), 'forbidden')
})
