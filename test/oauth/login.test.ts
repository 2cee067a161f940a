import { Writable } from 'node:stream'
import t from 'tap'
import { hashSecret, newSecret } from '../../src/accounts/secrets.ts'
import { isProblem, JWT_SECRET } from '../edge.ts'
import { startApp, type Answer } from '../helper.ts'
import { Browser, publicUrl } from './browser.ts'
import { clientId, clientSecret, startOpenIdServer } from './openid-server.ts'

const cookieName = '__Host-parley-login'
const people = {
  anna: { email: 'Anna@example.com', email_verified: true, name: 'Anna' },
  dora: { email: 'dora@example.com', email_verified: true, name: 'Dora' },
  carl: { email: 'carl@example.com', email_verified: false, name: 'Carl' }
}

const lines: string[] = []
const stream = new Writable({ write: (chunk: Buffer, _encoding, done) => { lines.push(chunk.toString()); done() } })
const server = await startOpenIdServer(t, { people })
const { client, db } = await startApp(t, {
  JWT_SECRET,
  PUBLIC_URL: publicUrl,
  CORS_ORIGINS: 'https://app.example',
  OIDC_ISSUER: server.issuer,
  OIDC_CLIENT_ID: clientId,
  OIDC_CLIENT_SECRET: clientSecret
}, { logger: { level: 'trace', stream }, loginCallMs: 1000 })
const nobody = client.with({})
const browser = () => new Browser(client.url)

const begin = async (browser: Browser, query = '') => {
  const response = await browser.visit(`/api/auth/oauth/oidc${query}`)
  return { response, location: response.headers.get('location')! }
}

/** The whole way, up to what the callback answers. */
async function logIn (browser: Browser, who: string | undefined, query?: string): Promise<Response> {
  return await browser.visit(await browser.logIn((await begin(browser, query)).location, who))
}

async function answered<T = Record<string, unknown>> (response: Response): Promise<Answer<T>> {
  return { status: response.status, headers: response.headers, body: await response.json() as T }
}

interface SignedInView {
  token: string
  refreshToken: string
  csrfToken?: string
  user: { id: string, email: string, name: string, role: string }
  tenant: { id: string }
}

t.test('a browser goes to the provider and comes back as somebody who has signed in', async (t) => {
  const annas = browser()
  const { response, location } = await begin(annas)
  t.equal(response.status, 302)
  t.match(response.headers.getSetCookie(), [/^__Host-parley-login=[\w-]{43}; Max-Age=600; Path=\/; HttpOnly; Secure; SameSite=Lax$/])
  const back = await annas.visit(await annas.logIn(location, 'anna'))
  const { status, body } = await answered<SignedInView>(back)
  t.equal(status, 200)
  t.match(body, { token: /^ey/, refreshToken: /^rt_/, user: { email: 'anna@example.com', name: 'Anna', role: 'owner' } })
  t.notOk(annas.cookiesOf(publicUrl).has(cookieName), 'nothing is kept of the login')
  const asAnna = nobody.with({ authorization: `Bearer ${body.token}` })
  t.equal((await asAnna.ask('/api/configs', { body: { purpose: 'Help.' } })).status, 201, 'the token works')
  t.match((await asAnna.ask('/api/auth/profile')).body, { email: 'anna@example.com' })

  const again = await answered<SignedInView>(await logIn(browser(), 'anna'))
  t.equal(again.body.user.id, body.user.id, 'and the next time it is the same account')
  people.anna.email = 'anna@elsewhere.example'
  const moved = await answered<SignedInView>(await logIn(browser(), 'anna'))
  t.match(moved.body.user, { id: body.user.id, email: 'anna@example.com' }, 'even with another address at the provider')
  people.anna.email = 'anna@example.com'
})

t.test('a browser that wants to go on somewhere is sent there, without a token in the address', async (t) => {
  for (const [returnTo, location] of [['/inbox?a=b', `${publicUrl}/inbox?a=b`], ['https://app.example/in', 'https://app.example/in']] as const) {
    const annas = browser()
    const response = await logIn(annas, 'anna', `?returnTo=${encodeURIComponent(returnTo)}`)
    t.equal(response.status, 302)
    t.equal(response.headers.get('location'), location)
    t.equal(await response.text(), '')
    t.match(response.headers.getSetCookie().find((line) => line.startsWith('__Secure-parley-refresh=')), /HttpOnly; Secure; SameSite=Strict/)
  }
  const annas = browser()
  await logIn(annas, 'anna', '?returnTo=/')
  const page = nobody.with({
    origin: 'https://app.example', cookie: `__Secure-parley-refresh=${annas.cookiesOf(publicUrl).get('__Secure-parley-refresh')}`
  })
  const told = await page.ask<{ csrfToken: string }>('/api/auth/csrf-token', { method: 'POST' })
  t.equal(told.headers.get('access-control-allow-credentials'), 'true')
  const csrf = { 'x-csrf-token': told.body.csrfToken }
  isProblem(t, await page.ask('/api/auth/refresh', { body: {} }), 'forbidden', 'the cookie alone')
  const { body } = await page.ask<SignedInView>('/api/auth/refresh', { body: {}, headers: csrf })
  t.match(body, { token: /^ey/, user: { email: 'anna@example.com' }, csrfToken: told.body.csrfToken })
  const evil = { method: 'POST', headers: { origin: 'https://evil.example' } }
  isProblem(t, await page.ask('/api/auth/csrf-token', evil), 'forbidden', 'a page of another origin')
  const other = { method: 'POST', headers: { cookie: '__Secure-parley-refresh=x' } }
  isProblem(t, await page.ask('/api/auth/csrf-token', other), 'unauthenticated', 'a cookie that is none')
  isProblem(t, await nobody.ask('/api/auth/csrf-token', { method: 'POST' }), 'unauthenticated', 'no cookie')

  for (const returnTo of ['//evil.example', 'https://evil.example', '\\\\evil.example', 'javascript:alert(1)', 'https://app.example@evil.example', '']) {
    const answer = await nobody.ask(`/api/auth/oauth/oidc?returnTo=${encodeURIComponent(returnTo)}`)
    isProblem(t, answer, 'validation_failed', returnTo)
    t.notOk(answer.headers.get('location'), returnTo)
  }
})

t.test('who comes back with what is not theirs is refused', async (t) => {
  const annas = browser()
  const callback = await annas.logIn((await begin(annas)).location, 'anna')
  const { search, pathname } = new URL(callback)
  isProblem(t, await nobody.ask(pathname + search), 'validation_failed', 'a browser without the cookie')
  const others = browser()
  await begin(others)
  isProblem(t, await answered(await others.visit(callback)), 'validation_failed', 'a browser with a login of its own')
  isProblem(t, await answered(await annas.visit(callback.replace(/state=[^&]+/, 'state=x'))), 'validation_failed', 'another state')
  isProblem(t, await answered(await annas.visit(callback.replace(/state=[^&]+/, ''))), 'validation_failed', 'no state')
  isProblem(t, await answered(await annas.visit(`${callback}&state=x`)), 'validation_failed', 'two states')
  t.equal((await nobody.fetch(pathname + search, { method: 'HEAD' })).status, 405, 'whoever looks ahead ends nothing')
  const cookies = new Map(annas.cookiesOf(publicUrl))
  t.equal((await annas.visit(callback)).status, 200, 'none of that has ended the login')
  cookies.forEach((value, name) => annas.cookiesOf(publicUrl).set(name, value))
  isProblem(t, await answered(await annas.visit(callback)), 'validation_failed', 'the same once more')

  isProblem(t, await answered(await logIn(browser(), undefined)), 'forbidden', 'somebody who has refused')
  isProblem(t, await answered(await logIn(browser(), 'carl')), 'forbidden', 'an address that is not verified')
  t.equal(await db.collection('users').countDocuments({ email: 'carl@example.com' }), 0)
})

t.test('an account is linked by a verified address only', async (t) => {
  const carl = { email: 'carl@example.com', name: 'Carl', password: 'correct horse battery' }
  const { status, body } = await nobody.ask<SignedInView>('/api/auth/register', { body: carl })
  t.equal(status, 201)
  isProblem(t, await answered(await logIn(browser(), 'carl')), 'forbidden', 'not verified')
  t.match(await db.collection('users').findOne({ email: carl.email }), { identities: [] }, 'nothing is linked')
  people.carl.email_verified = true
  const linked = await answered<SignedInView>(await logIn(browser(), 'carl'))
  t.equal(linked.body.user.id, body.user.id)
  people.carl.email_verified = false
  const known = await answered<SignedInView>(await logIn(browser(), 'carl'))
  t.equal(known.body.user.id, body.user.id, 'who is known need not be verified again')
})

t.test('an invitation is accepted by whom it is for', async (t) => {
  const { body: anna } = await answered<SignedInView>(await logIn(browser(), 'anna'))
  const asAnna = nobody.with({ authorization: `Bearer ${anna.token}` })
  const { status } = await asAnna.ask('/api/invitations', { body: { email: 'dora@example.com', role: 'viewer' } })
  t.equal(status, 201)
  // The token itself is in the mail alone.
  const token = newSecret()
  await db.collection('invitations').updateOne({ email: 'dora@example.com' }, { $set: { tokenHash: hashSecret(token) } })
  const query = `?invitation=${token}`
  isProblem(t, await answered(await logIn(browser(), 'anna', query)), 'forbidden', 'somebody else')
  const { body: dora } = await answered<SignedInView>(await logIn(browser(), 'dora', query))
  t.match(dora, { user: { email: 'dora@example.com', role: 'viewer' }, tenant: { id: anna.tenant.id } })
  t.match((await asAnna.ask<{ data: object[] }>('/api/audit?action=account.signed-in&limit=1')).body.data,
    [{ actor: { kind: 'account', id: dora.user.id, role: 'viewer' }, target: { type: 'account', id: dora.user.id }, status: 200 }])
  isProblem(t, await nobody.ask('/api/auth/oauth/oidc?invitation=x'), 'validation_failed', 'what is no token')
})

t.test('failures are problems, and neither they nor the log tell secrets', async (t) => {
  for (const [path, code] of [
    ['/api/auth/oauth/google', 'not_found'], ['/api/auth/oauth/google/callback?state=x&code=y', 'not_found'], ['/api/auth/oauth/__proto__', 'not_found'],
    ['/api/auth/oauth/oidc?other=1', 'validation_failed'], ['/api/auth/oauth/oidc/callback', 'validation_failed'],
    ['/api/auth/oauth/oidc/callback?state[$ne]=x&code=y', 'validation_failed']
  ] as const) isProblem(t, await nobody.ask(path), code, path)

  const annas = browser()
  const callback = await annas.logIn((await begin(annas)).location, 'anna')
  const [key] = annas.cookiesOf(publicUrl).values()
  server.isSilent = true
  const away = await answered(await annas.visit(callback))
  isProblem(t, away, 'upstream_failed', 'the provider does not answer')
  t.notMatch(JSON.stringify(away.body), /127\.0\.0\.1|timed/)
  server.isSilent = false
  const log = lines.join('')
  t.match(log, /login provider: operation timed out/)
  const { searchParams } = new URL(callback)
  for (const secret of [clientSecret, key!, searchParams.get('code')!, searchParams.get('state')!]) t.notOk(log.includes(secret))
})

// GitHub is not asked before the browser is back.
const gitHub = { PUBLIC_URL: publicUrl, OAUTH_GITHUB_CLIENT_ID: clientId, OAUTH_GITHUB_CLIENT_SECRET: clientSecret }
const begun = '/api/auth/oauth/github'

t.test('logins are counted by address', async (t) => {
  const { client } = await startApp(t, { ...gitHub, JWT_SECRET, RATE_LIMIT_PROVIDER_LOGIN_IP: '2' })
  const browser = new Browser(client.url)
  for (let i = 0; i < 2; i++) t.equal((await browser.visit(begun)).status, 302)
  const refused = await client.ask(begun)
  isProblem(t, refused, 'rate_limited')
  t.match(refused.body, { limit: 'provider-login-ip' })
})

t.test('a provider that is away from the start is told as away', async (t) => {
  const { client } = await startApp(t, {
    JWT_SECRET, PUBLIC_URL: publicUrl, OIDC_ISSUER: 'http://127.0.0.1:9', OIDC_CLIENT_ID: clientId, OIDC_CLIENT_SECRET: clientSecret
  }, { loginCallMs: 1000 })
  isProblem(t, await client.ask('/api/auth/oauth/oidc'), 'upstream_failed')
})

t.test('a server that cannot sign in anybody has no logins', async (t) => {
  const { client } = await startApp(t, { ...gitHub, NODE_ENV: 'production' })
  for (const path of [begun, `${begun}/callback?state=x&code=y`]) isProblem(t, await client.ask(path), 'not_found', path)
})
