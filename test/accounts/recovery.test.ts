import t from 'tap'
import { isProblem } from '../edge.ts'
import { type Client } from '../helper.ts'
import { PASSWORD, startPeople } from './people.ts'

const { app, db, nobody, as, login, newcomer, mailbox, refresh } = await startPeople(t)
const put = async (who: Client, path: string, body: unknown) => await who.ask(`/api/auth/${path}`, { method: 'PUT', body })
const post = async (path: string, body: unknown) => await nobody.ask(`/api/auth/${path}`, { body })
const lapse = async () => await db.collection('oneTimeTokens').updateMany({}, { $set: { expiresAt: new Date() } })

t.test('an address is confirmed by the mail that goes to it, once', async (t) => {
  const who = as(await newcomer('ada@example.org'))
  t.match((await who.ask('/api/auth/profile')).body, {
    email: 'ada@example.org', emailVerified: false, pendingEmail: null, name: 'Some Body', role: 'owner', hasPassword: true, createdAt: /Z$/
  })
  const mail = await mailbox.take('ada@example.org')
  t.match(mail.text, /^http:\/\/127\.0\.0\.1:\d+\/verify-email#token=/m)
  t.equal((await who.ask('/api/auth/verify-email/resend', { method: 'POST' })).status, 202)
  const token = await mailbox.token('ada@example.org')
  t.notMatch(JSON.stringify(await db.collection('oneTimeTokens').find().toArray()), token, 'it is stored as a hash')
  const old = /#token=([\w-]{43})$/m.exec(mail.text)![1]!
  isProblem(t, await post('verify-email', { token: old }), 'validation_failed', 'the one before is replaced')
  isProblem(t, await post('password-reset/confirm', { token, password: 'something quite else' }), 'validation_failed', 'for another purpose')
  isProblem(t, await post('verify-email', { token: { $ne: null } }), 'validation_failed')
  t.equal((await post('verify-email', { token })).status, 204)
  isProblem(t, await post('verify-email', { token }), 'validation_failed', 'twice')
  t.match((await who.ask('/api/auth/profile')).body, { emailVerified: true })
  t.equal((await who.ask('/api/auth/verify-email/resend', { method: 'POST' })).status, 202)
  t.equal(await db.collection('oneTimeTokens').countDocuments(), 0, 'nothing to confirm, nothing is sent')
})

t.test('a forgotten password is set anew by mail, which ends all sign-ins', async (t) => {
  const signIn = await newcomer('forget@example.org')
  await mailbox.take('forget@example.org')
  const asked = async (email: string) => {
    const { status, body } = await post('password-reset', { email })
    return JSON.stringify([status, body])
  }
  t.equal(await asked('unknown@example.org'), await asked('Forget@example.org'), 'whether there is an account is not told')
  const token = await mailbox.token('forget@example.org')
  isProblem(t, await post('password-reset/confirm', { token, password: 'password1' }), 'validation_failed', 'a common one')
  isProblem(t, await post('password-reset/confirm', { token, password: PASSWORD }), 'validation_failed', 'the one it is')
  const answers = await Promise.all(['staple of another colour', 'staple of one more colour'].map(async (password) =>
    await post('password-reset/confirm', { token, password })))
  t.equal(answers.filter(({ status }) => status === 204).length, 1, 'one of two')
  isProblem(t, await post('password-reset/confirm', { token, password: 'yet another staple' }), 'validation_failed', 'twice')
  isProblem(t, await refresh(signIn.refreshToken), 'unauthenticated')
  isProblem(t, await login('forget@example.org'), 'unauthenticated', 'the old password')
  const password = answers[0]!.status === 204 ? 'staple of another colour' : 'staple of one more colour'
  const again = await login('forget@example.org', { password })
  t.match((await as(again.body).ask('/api/auth/profile')).body, { emailVerified: true }, 'who has the mail has the address')

  await asked('forget@example.org')
  const late = await mailbox.token('forget@example.org')
  await lapse()
  isProblem(t, await post('password-reset/confirm', { token: late, password: 'staple of a late colour' }), 'validation_failed', 'expired')
})

t.test('a password is changed with the current one, and the last five do not come back', async (t) => {
  const [signIn, other] = [await newcomer('change@example.org'), (await login('change@example.org')).body]
  const who = as(signIn)
  const change = async (currentPassword: string, newPassword: string) => await put(who, 'password', { currentPassword, newPassword })
  isProblem(t, await change('wrong horse', 'staple number one'), 'forbidden')
  isProblem(t, await change(PASSWORD, 'change@example.org'), 'validation_failed')
  isProblem(t, await change(PASSWORD, 'short'), 'validation_failed')
  const all = [PASSWORD, ...[1, 2, 3, 4, 5].map((n) => `staple number ${n}`)]
  for (const [i, next] of all.slice(1).entries()) t.equal((await change(all[i]!, next)).status, 204)
  isProblem(t, await refresh(other.refreshToken), 'unauthenticated', 'other sign-ins have ended')
  t.equal((await refresh(signIn.refreshToken)).status, 200, 'and this one has not')
  for (const used of all.slice(1)) isProblem(t, await change(all.at(-1)!, used), 'validation_failed', used)
  t.equal((await change(all.at(-1)!, PASSWORD)).status, 204, 'the sixth last is free again')
  const parallel = await Promise.all(['six', 'seven'].map(async (n) => await change(PASSWORD, `staple number ${n}`)))
  t.same(parallel.map(({ status }) => status).sort()[0], 204)
  t.ok([403, 409].includes(parallel.map(({ status }) => status).sort()[1]!))
})

t.test('a name is changed at once, an address when it is confirmed', async (t) => {
  await newcomer('taken@example.org')
  const signIn = await newcomer('move@example.org')
  await mailbox.take('move@example.org')
  const who = as(signIn)
  const change = async (body: unknown) => await put(who, 'profile', body)
  t.match(await change({ name: 'Moved' }), { status: 200, body: { name: 'Moved', email: 'move@example.org' } })
  for (const body of [{ role: 'owner' }, { emailVerified: true }, { emailVerifiedAt: null }, { memberships: [] }, { tenantId: 'x' }, { platformAdmin: true }, { name: ' ' }]) {
    isProblem(t, await change(body), 'validation_failed', JSON.stringify(body))
  }
  t.match(await change({}), { status: 200, body: { name: 'Moved' } })
  t.match(await change({ email: 'MOVE@example.org' }), { status: 200, body: { pendingEmail: null } }, 'the same')
  isProblem(t, await change({ email: 'moved@example.org' }), 'forbidden', 'without the password')
  isProblem(t, await change({ email: 'moved@example.org', password: 'wrong horse' }), 'forbidden')
  isProblem(t, await change({ email: 'taken@example.org', password: PASSWORD }), 'conflict')
  t.match(await change({ email: 'moved@example.org', password: PASSWORD }),
    { status: 200, body: { email: 'move@example.org', pendingEmail: 'moved@example.org' } })
  t.match((await mailbox.take('move@example.org')).text, /becomes its address/, 'the old address is told')
  await mailbox.take('moved@example.org')
  t.equal((await who.ask('/api/auth/verify-email/resend', { method: 'POST' })).status, 202)
  const token = await mailbox.token('moved@example.org')
  t.equal((await login('move@example.org')).status, 200, 'not yet')
  t.equal((await post('verify-email', { token })).status, 204)
  isProblem(t, await login('move@example.org'), 'unauthenticated')
  t.match((await login('moved@example.org')).body, { user: { id: signIn.user.id, email: 'moved@example.org' } })

  await change({ email: 'race@example.org', password: PASSWORD })
  const late = await mailbox.token('race@example.org')
  await newcomer('race@example.org')
  isProblem(t, await post('verify-email', { token: late }), 'validation_failed', 'somebody else was faster')
})

t.test('a token for an address that the account has no more is not good', async (t) => {
  const { user } = await newcomer('stale@example.org')
  await mailbox.take('stale@example.org')
  await post('password-reset', { email: 'stale@example.org' })
  const token = await mailbox.token('stale@example.org')
  await db.collection('users').updateOne({ email: 'stale@example.org' }, { $set: { email: 'fresh@example.org' } })
  isProblem(t, await post('password-reset/confirm', { token, password: 'staple of another colour' }), 'validation_failed')
  t.match(await app.store.users.find(user.id), { email: 'fresh@example.org' })
})

t.test('an account that is gone, or is a member no more, has no profile', async (t) => {
  const [gone, left] = [await newcomer('vanish@example.org'), await newcomer('left@example.org')]
  await db.collection('users').deleteOne({ email: 'vanish@example.org' })
  await db.collection<{ _id: string }>('tenants').deleteOne({ _id: left.tenant.id })
  for (const who of [gone, left]) isProblem(t, await as(who).ask('/api/auth/profile'), 'not_found')
  t.equal((await as(gone).ask('/api/auth/verify-email/resend', { method: 'POST' })).status, 202)
})
