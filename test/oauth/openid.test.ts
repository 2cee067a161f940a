import t, { type Test } from 'tap'
import { ApiError, type ErrorCode } from '../../src/errors.ts'
import { type AuthorizationResponse } from '../../src/oauth/login-provider.ts'
import { startApp } from '../helper.ts'
import { Browser, callbackOf, publicUrl } from './browser.ts'
import { clientId, clientSecret, foreignKey, startOpenIdServer, type OpenIdServerOptions } from './openid-server.ts'

const ip = '192.0.2.7'
const people = {
  anna: { email: 'anna@example.com', email_verified: true, name: ' Anna\n' },
  ben: { email: 'ben@example.com', email_verified: 'true', name: 'x'.repeat(200) },
  carl: { email: 'carl@example.com', name: 7 },
  dora: {},
  emil: { email: 'two@words@example com' },
  frida: { email: '\u212Aarl@example.com', email_verified: true }
}

/** Parley at a provider of its own. */
async function start (t: Test, options: Partial<OpenIdServerOptions> = {}, loginCallMs?: number) {
  const server = await startOpenIdServer(t, { people, ...options })
  const { app, db } = await startApp(t, {
    PUBLIC_URL: publicUrl, OIDC_ISSUER: server.issuer, OIDC_CLIENT_ID: clientId, OIDC_CLIENT_SECRET: clientSecret
  }, { ...(loginCallMs !== undefined && { loginCallMs }) })
  const { providerLogins } = app
  return {
    server,
    db,
    providerLogins,
    /** Goes to the provider, with an address that may have been tampered with, and comes back. */
    logIn: async (login: string | undefined, tamper: (address: URL) => void = () => {}) => {
      const { location, browserKey } = await providerLogins.begin('oidc', ip)
      const address = new URL(location)
      tamper(address)
      const back = new URL(await new Browser('').logIn(address.href, login))
      return { browserKey, response: Object.fromEntries(back.searchParams) as unknown as AuthorizationResponse }
    }
  }
}

const fails = async (t: Test, promise: Promise<unknown>, code: ErrorCode, label: string) => {
  const error = await promise.then(() => 'nothing', (error: unknown) => error)
  t.ok(error instanceof ApiError, label)
  t.match(error, { code }, label)
  t.notMatch(String(error), /127\.0\.0\.1|invalid_|secret/, `${label}: nothing of the provider's own is told`)
  return error as ApiError
}

const atProvider = await start(t)

t.test('who logs in at the provider is who it says', async (t) => {
  const other = await start(t, { claimsInToken: true, method: 'client_secret_post' })
  for (const { logIn, providerLogins, server } of [atProvider, other]) {
    const { browserKey, response } = await logIn('anna')
    t.same(await providerLogins.end('oidc', ip, response, browserKey), {
      identity: { provider: 'oidc', subject: `${server.issuer}|anna`, email: 'anna@example.com', emailVerified: true, name: 'Anna' },
      invitation: undefined,
      returnTo: null
    })
    const ben = await logIn('ben')
    const { identity } = await providerLogins.end('oidc', ip, ben.response, ben.browserKey)
    t.match(identity, { emailVerified: true, name: 'x'.repeat(120) }, 'a long name is cut')
    const carl = await logIn('carl')
    const unverified = await providerLogins.end('oidc', ip, carl.response, carl.browserKey)
    t.match(unverified, { identity: { email: 'carl@example.com', emailVerified: false, name: undefined } }, 'what is not said is not so')
    for (const nameless of ['dora', 'emil', 'frida']) {
      const { browserKey, response } = await logIn(nameless)
      await fails(t, providerLogins.end('oidc', ip, response, browserKey), 'forbidden', `${nameless} has no address`)
    }
  }
})

t.test('the way out carries a challenge, and nothing that is stored can answer it', async (t) => {
  const { providerLogins, db } = atProvider
  const { location, browserKey } = await providerLogins.begin('oidc', ip, { returnTo: '/inbox?a=b' })
  const asked = Object.fromEntries(new URL(location).searchParams)
  t.match(asked, {
    client_id: clientId,
    response_type: 'code',
    redirect_uri: callbackOf('oidc'),
    scope: 'openid email profile',
    state: /^[\w-]{43}$/,
    nonce: /^[\w-]{43}$/,
    code_challenge: /^[\w-]{43}$/,
    code_challenge_method: 'S256'
  })
  const stored = JSON.stringify(await db.collection('loginFlows').find().toArray())
  for (const secret of [browserKey, asked['state'], asked['nonce'], clientSecret]) t.notMatch(stored, secret!)
})

t.test('a login ends once, in the browser and at the provider that it was begun with', async (t) => {
  const { logIn, providerLogins, db } = atProvider
  const { browserKey, response } = await logIn('anna')
  const other = await providerLogins.begin('oidc', ip)
  await fails(t, providerLogins.end('oidc', ip, response), 'validation_failed', 'no browser')
  await fails(t, providerLogins.end('oidc', ip, response, other.browserKey), 'validation_failed', 'another browser')
  await fails(t, providerLogins.end('oidc', ip, { ...response, state: 'x' }, browserKey), 'validation_failed', 'another state')
  await fails(t, providerLogins.end('google', ip, response, browserKey), 'not_found', 'another provider')
  t.match(await providerLogins.end('oidc', ip, response, browserKey), { identity: { email: 'anna@example.com' } }, 'none of that has ended it')
  await fails(t, providerLogins.end('oidc', ip, response, browserKey), 'validation_failed', 'once more')

  const late = await logIn('anna')
  await db.collection('loginFlows').updateMany({}, { $set: { begunAt: new Date(Date.now() - 601_000) } })
  await fails(t, providerLogins.end('oidc', ip, late.response, late.browserKey), 'validation_failed', 'after ten minutes')
})

t.test('what does not fit together is refused', async (t) => {
  const { logIn, providerLogins, server } = atProvider
  const ended = async ({ browserKey, response }: Awaited<ReturnType<typeof logIn>>, changed: Partial<AuthorizationResponse> = {}) =>
    await providerLogins.end('oidc', ip, { ...response, ...changed }, browserKey)
  const set = (name: string, value: string) => ({ searchParams }: URL) => { searchParams.set(name, value) }

  await fails(t, ended(await logIn('anna'), { iss: 'https://evil.example' }), 'validation_failed', 'another issuer')
  const { response: { iss, ...unsigned }, browserKey } = await logIn('anna')
  t.equal(iss, server.issuer)
  await fails(t, providerLogins.end('oidc', ip, unsigned, browserKey), 'validation_failed', 'no issuer, from one who names itself')
  await fails(t, ended(await logIn('anna'), { code: 'made-up' }), 'validation_failed', 'a code that is none')
  const [mine, theirs] = [await logIn('anna'), await logIn('ben')]
  await fails(t, ended(mine, { code: theirs.response.code! }), 'validation_failed', 'the code of another login')
  await fails(t, ended(await logIn('anna', set('code_challenge', 'x'.repeat(43)))), 'validation_failed', 'another challenge')
  await fails(t, ended(await logIn('anna', set('nonce', 'x'))), 'upstream_failed', 'another nonce')
  await fails(t, ended(await logIn('anna', ({ searchParams }) => {
    searchParams.delete('code_challenge')
    searchParams.delete('code_challenge_method')
  })), 'upstream_failed', 'no challenge, which the provider insists on')
  await fails(t, ended(await logIn(undefined)), 'forbidden', 'nobody logged in')
  // The keys of a provider are known for five minutes.
  const original = Date.now.bind(Date)
  t.intercept(Date, 'now', { value: () => original() + 301_000 })
  server.keys = [foreignKey()]
  const forged = await fails(t, ended(await logIn('anna')), 'upstream_failed', 'a token signed with another key')
  t.match(forged.cause, { message: /signature verification failed/ }, 'the log says why')
  t.notMatch(String(forged.cause), /eyJ|anna/, 'without the token')
  delete server.keys
})

t.test('a provider that is slow or away fails the login, and is known as it was for a while', async (t) => {
  const { providerLogins: impatient, server: slow } = await start(t, {}, 200)
  slow.isSilent = true
  const late = await fails(t, impatient.begin('oidc', ip), 'upstream_failed', 'it takes the call and does not answer')
  t.match(late.cause, { message: /timed out/ })
  await fails(t, impatient.begin('github', ip), 'not_found', 'a provider that is not set up')
  slow.stop()
  const away = await fails(t, impatient.begin('oidc', ip), 'upstream_failed', 'it is away')
  t.match(away.cause, { message: /ECONNREFUSED/ })

  const { providerLogins, server, logIn } = atProvider
  const { browserKey, response } = await logIn('anna')
  server.stop()
  await fails(t, providerLogins.end('oidc', ip, response, browserKey), 'upstream_failed', 'it is away when it is to take the code')
  t.ok((await providerLogins.begin('oidc', ip)).location, 'where it is, is known for a while')
  const original = performance.now.bind(performance)
  t.intercept(performance, 'now', { value: () => original() + 3_600_001 })
  t.ok((await providerLogins.begin('oidc', ip)).location, 'and for longer, while it does not answer')
})
