import t, { type Test } from 'tap'
import { type AuthorizationResponse } from '../../src/oauth/login-provider.ts'
import { startApp } from '../helper.ts'
import { Browser, callbackOf, publicUrl } from './browser.ts'
import { startGitHubServer, type GitHubServer } from './github-server.ts'
import { clientId, clientSecret } from './openid-server.ts'

const ip = '192.0.2.7'
const email = (address: string, primary: boolean, verified: boolean) =>
  ({ email: address, primary, verified, visibility: primary ? 'private' : null })
const anna = { id: 583231, login: 'anna', name: 'Anna', emails: [email('other@example.com', false, true), email('anna@example.com', true, true)] }

async function start (t: Test, server: GitHubServer, secret = clientSecret) {
  const { app } = await startApp(t, {
    PUBLIC_URL: publicUrl, OAUTH_GITHUB_URL: server.url, OAUTH_GITHUB_CLIENT_ID: clientId, OAUTH_GITHUB_CLIENT_SECRET: secret
  })
  const { providerLogins } = app
  return async (changed: Partial<AuthorizationResponse> = {}) => {
    const { location, browserKey } = await providerLogins.begin('github', ip)
    const back = new URL(await new Browser('').logIn(location, 'anna'))
    t.equal(back.origin + back.pathname, callbackOf('github'))
    const response = Object.fromEntries(back.searchParams) as unknown as AuthorizationResponse
    return await providerLogins.end('github', ip, { ...response, ...changed }, browserKey)
  }
}

const server = await startGitHubServer(t, anna)
const logIn = await start(t, server)

t.test('whom GitHub knows is known by the primary address, if that is verified', async (t) => {
  t.match(await logIn(), {
    identity: { provider: 'github', subject: `${server.url}|583231`, email: 'anna@example.com', emailVerified: true, name: 'Anna' }
  })
  server.user = { ...anna, name: null }
  t.notOk((await logIn()).identity.name)
  for (const emails of [[email('anna@example.com', true, false), email('other@example.com', false, true)], []]) {
    server.user = { ...anna, emails }
    await t.rejects(logIn(), { code: 'forbidden', message: /no e-mail address/ })
  }
})

t.test('what GitHub refuses or says in another way ends the login', async (t) => {
  server.user = anna
  await t.rejects(logIn({ code: 'made-up' }), { code: 'validation_failed', members: { errors: [{ path: '/code' }] } })
  await t.rejects(logIn({ iss: 'https://evil.example' }), { code: 'upstream_failed' })
  server.instead = { status: 403, body: JSON.stringify({ message: 'Resource not accessible by integration' }) }
  await t.rejects(logIn(), { code: 'upstream_failed', cause: { message: /status 403/ } })
  server.instead = { status: 200, body: '[{"email":"anna@example.com"}]' }
  await t.rejects(logIn(), { code: 'upstream_failed', cause: { message: /unexpected answer/ } })
  server.instead = { status: 200, body: `["${'x'.repeat(600_000)}"]` }
  await t.rejects(logIn(), { code: 'upstream_failed', cause: { message: /more than 524288 bytes/ } })
  server.instead = { status: 200, body: 'not JSON' }
  await t.rejects(logIn(), { code: 'upstream_failed' })
  const unknown = await start(t, server, 'another-secret')
  await t.rejects(unknown(), { code: 'upstream_failed', cause: { message: /incorrect_client_credentials/ } })
})
