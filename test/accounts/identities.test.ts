import t from 'tap'
import { type ExternalIdentity, type IdentityLoginContext } from '../../src/accounts/identity-logins.ts'
import { startPeople, type People } from './people.ts'

const people = await startPeople(t)
const { db, as, login, newcomer, mailbox, nobody, refresh } = people
const at = ({ app }: People) => async (email: string, more: Partial<ExternalIdentity> = {}, context: Partial<IdentityLoginContext> = {}) =>
  await app.accounts.signInWith({ provider: 'oidc', subject: email, email, emailVerified: true, ...more }, { ip: '127.0.0.1', ...context })
const signIn = at(people)

t.test('somebody unknown gets an account and a tenant, and is known from then on', async (t) => {
  const first = await signIn('New@example.org', { name: 'New' })
  t.match(first, { user: { email: 'new@example.org', name: 'New', role: 'owner' }, tenant: { name: 'New' }, csrfToken: /./ })
  t.match((await as(first).ask('/api/auth/profile')).body, { emailVerified: true, hasPassword: false })
  const moved = await signIn('elsewhere@example.org', { subject: 'New@example.org', emailVerified: false })
  t.match(moved.user, { id: first.user.id, email: 'new@example.org' }, 'by what the provider calls them, not by the address')
  t.match((await signIn('plain@example.org')).user, { name: 'plain' })
  t.match((await login('new@example.org')).status, 401, 'there is no password')
})

t.test('an address that is not verified links to nothing and makes nothing', async (t) => {
  await newcomer('victim@example.org')
  for (const email of ['victim@example.org', 'nobody@example.org']) {
    await t.rejects(signIn(email, { emailVerified: false }), { code: 'forbidden' }, email)
  }
  t.equal(await db.collection('users').countDocuments({ 'identities.subject': /victim|nobody/ }), 0)
})

t.test('a verified address links to its account', async (t) => {
  const { user } = await newcomer('linked@example.org')
  await nobody.ask('/api/auth/verify-email', { body: { token: await mailbox.token('linked@example.org') } })
  t.equal((await signIn('linked@example.org')).user.id, user.id)
  t.equal((await signIn('linked@example.org', { provider: 'github' })).user.id, user.id)
  t.equal((await login('linked@example.org')).status, 200, 'the password stays')
})

t.test('an account whose address was never confirmed loses what was set by whoever made it', async (t) => {
  const squatter = await newcomer('owner@example.org')
  const token = await mailbox.token('owner@example.org')
  const owner = await signIn('owner@example.org')
  t.equal(owner.user.id, squatter.user.id)
  t.equal((await refresh(squatter.refreshToken)).status, 401)
  t.equal((await login('owner@example.org')).status, 401)
  t.equal((await nobody.ask('/api/auth/verify-email', { body: { token } })).status, 400)
})

t.test('an invitation is accepted on the way', async (t) => {
  const closed = await startPeople(t, { REGISTRATION: 'invite' })
  const signIn = at(closed)
  const invite = async (email: string) => {
    await closed.client.ask('/api/invitations', { body: { email, role: 'member' } })
    return await closed.mailbox.token(email)
  }
  await t.rejects(signIn('in@example.org'), { code: 'forbidden' }, 'without one')
  const invitation = await invite('in@example.org')
  await t.rejects(signIn('other@example.org', {}, { invitation }), { code: 'forbidden' }, 'of somebody else')
  await t.rejects(signIn('in@example.org', { emailVerified: false }, { invitation }), { code: 'forbidden' })
  t.match(await signIn('in@example.org', {}, { invitation }), { user: { role: 'member' }, tenant: { id: 'default' } })
  await t.rejects(signIn('in@example.org', {}, { invitation }), { code: 'validation_failed' }, 'twice')
  t.match(await signIn('in@example.org', {}, { tenantId: 'default' }), { tenant: { id: 'default' } })
  await t.rejects(signIn('in@example.org', {}, { tenantId: 'elsewhere' }), { code: 'forbidden' })
  await closed.db.collection<{ _id: string }>('tenants').updateOne({ _id: 'default' }, { $set: { members: [] } })
  t.match(await signIn('in@example.org', {}, { invitation: await invite('in@example.org') }), { user: { role: 'member' } }, 'with an account')
})

t.test('what changes at the same moment is refused', async (t) => {
  await newcomer('race@example.org')
  const answers = await Promise.allSettled([1, 2, 3].map(async (n) => await signIn('race@example.org', { subject: `race ${n}` })))
  t.ok(answers.some(({ status }) => status === 'fulfilled'))
  for (const answer of answers) if (answer.status === 'rejected') t.match(answer.reason, { code: /conflict|unauthenticated/ })
  t.equal(await db.collection('users').countDocuments({ email: 'race@example.org' }), 1)
})
