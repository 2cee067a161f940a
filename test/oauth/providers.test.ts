import t from 'tap'
import { loadConfig } from '../../src/config.ts'
import { configuredProviders, isOwnedDomain, isVerified } from '../../src/oauth/providers.ts'
import { returnAddress } from '../../src/oauth/return-address.ts'
import { publicUrl } from './browser.ts'

const client = (prefix: string) => ({ [`${prefix}_CLIENT_ID`]: 'id', [`${prefix}_CLIENT_SECRET`]: 'hunter2' })
const configured = (env: Record<string, string>) => configuredProviders(loadConfig({ PUBLIC_URL: publicUrl, ...env }))

t.test('providers are those that the environment sets up', async (t) => {
  t.same([...configured({}).keys()], [])
  const all = { ...client('OAUTH_GOOGLE'), ...client('OAUTH_GITHUB'), ...client('OAUTH_MICROSOFT'), ...client('OIDC') }
  t.same([...configured({ ...all, OIDC_ISSUER: 'https://issuer.example' }).keys()], ['google', 'microsoft', 'github', 'oidc'])
  const github = configured(client('OAUTH_GITHUB')).get('github')!
  const { href } = await github.authorizationUrl({ state: 's', nonce: 'n', codeVerifier: 'v' }, 'https://parley.example/x')
  t.match(href, /^https:\/\/github\.com\/login\/oauth\/authorize\?/)
})

t.test('a provider that is half set up stops the start with one line', async (t) => {
  const wrong: Array<[Record<string, string>, RegExp]> = [
    [{ OAUTH_GOOGLE_CLIENT_ID: 'id' }, /^OAUTH_GOOGLE_CLIENT_ID and OAUTH_GOOGLE_CLIENT_SECRET must/],
    [{ OAUTH_GITHUB_CLIENT_SECRET: 'hunter2' }, /^OAUTH_GITHUB_CLIENT_ID and OAUTH_GITHUB_CLIENT_SECRET must/],
    [{ OIDC_ISSUER: 'https://issuer.example' }, /^OIDC_ISSUER, OIDC_CLIENT_ID and OIDC_CLIENT_SECRET must/],
    [client('OIDC'), /^OIDC_ISSUER, /],
    [{ ...client('OAUTH_MICROSOFT'), PUBLIC_URL: '' }, /^PUBLIC_URL must be set with OAUTH_MICROSOFT_CLIENT_ID/]
  ]
  for (const [env, message] of wrong) {
    const thrown = t.throws(() => configured(env), { name: 'ConfigError', message })
    t.notMatch(String(thrown), /hunter2|\n/)
  }
})

t.test('an address is verified where the provider says so, and nowhere else', async (t) => {
  const yes = [{ email_verified: true }, { email_verified: 'true' }]
  const no = [{}, { email_verified: false }, { email_verified: 'false' }, { email_verified: {} }, { email_verified: null }]
  for (const claims of yes) t.ok(isVerified(claims) && isOwnedDomain(claims), JSON.stringify(claims))
  for (const claims of no) t.notOk(isVerified(claims) || isOwnedDomain(claims), JSON.stringify(claims))
  for (const edov of [true, 1, '1', 'true']) t.ok(isOwnedDomain({ xms_edov: edov }), JSON.stringify(edov))
  for (const edov of [false, 0, '0', 'false', null, {}]) t.notOk(isOwnedDomain({ xms_edov: edov }), JSON.stringify(edov))
  t.notOk(isVerified({ xms_edov: true }), 'which only Microsoft says')
})

t.test('after a login a browser is sent to listed origins only', async (t) => {
  const to = (text: string) => returnAddress(text, [publicUrl, 'https://app.example', 'http://localhost:5173'])
  const good: Record<string, string> = {
    '/': `${publicUrl}/`,
    '/inbox?a=b#c': `${publicUrl}/inbox?a=b#c`,
    '/a/../b': `${publicUrl}/b`,
    '/ü': `${publicUrl}/%C3%BC`,
    '/x?next=https://evil.example': `${publicUrl}/x?next=https://evil.example`,
    '/@evil.example': `${publicUrl}/@evil.example`,
    'https://app.example': 'https://app.example/',
    'https://app.example/inbox': 'https://app.example/inbox',
    'https://APP.example:443/x': 'https://app.example/x',
    'http://localhost:5173/x': 'http://localhost:5173/x',
    [publicUrl]: `${publicUrl}/`
  }
  for (const [text, address] of Object.entries(good)) t.equal(to(text), address, text)
  const evil = [
    '', ' ', 'evil', '/x\n', '/x\\y', '//evil.example', '///evil.example', '////evil.example', '/\\evil.example', '\\\\evil.example', '\\/evil.example',
    '/\t/evil.example', '/\n/evil.example', '/\r\\evil.example', '\t//evil.example', ' //evil.example', '\0//evil.example',
    'https://evil.example', 'https:evil.example', 'https:/evil.example', 'https:\\\\evil.example', 'HTTPS://evil.example',
    'http://app.example', 'https://app.example:8443/', 'https://app.example.evil.example', 'https://evilapp.example', 'https://app.example@evil.example',
    'https://app.example%2f@evil.example', 'https://app.example\\@evil.example', 'https://app.example:443@evil.example',
    'https://user@app.example', 'https://user:pass@app.example', 'https://@evil.example', 'https://evil.example#@app.example',
    'https://evil.example?app.example', 'https://evil.example\\.app.example', 'https://app.example%00.evil.example', 'https://app。example.evil.example',
    'http://localhost', 'http://localhost:51730', 'http://127.0.0.1:5173', 'http://[::1]:5173', 'https://', 'http://[', 'null',
    'javascript:alert(1)', 'JavaScript:alert(1)', 'java\nscript:alert(1)', 'data:text/html,x', 'blob:https://app.example/x', 'file:///etc/passwd',
    'ftp://app.example', 'view-source:https://app.example', 'x://app.example'
  ]
  for (const text of evil) t.throws(() => to(text), { code: 'validation_failed', members: { errors: [{ path: '/returnTo' }] } }, JSON.stringify(text))
})
