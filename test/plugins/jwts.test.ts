import { createHmac, createPublicKey, generateKeyPairSync, type JsonWebKey, type KeyObject } from 'node:crypto'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { type AddressInfo } from 'node:net'
import { join } from 'node:path'
import { createLocalJWKSet, importJWK, jwtVerify, SignJWT, type JWK } from 'jose'
import t, { type Test } from 'tap'
import { loadOwnKeys } from '../../src/auth/own-keys.ts'
import { loadConfig } from '../../src/config.ts'
import { isProblem, JWT_SECRET } from '../edge.ts'
import { databaseName, startApp, storeUri, temporaryFolder, type Client } from '../helper.ts'

const [issuer, audience] = ['https://issuer.example', 'parley']
const seconds = () => Math.floor(Date.now() / 1000)
const base64url = (value: unknown) => Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url')

interface Pair { privateKey: KeyObject, publicKey: KeyObject }

/** Keys as an operator makes them. */
const pairs: Record<string, Pair> = {
  RS256: generateKeyPairSync('rsa', { modulusLength: 2048 }),
  ES256: generateKeyPairSync('ec', { namedCurve: 'P-256' }),
  EdDSA: generateKeyPairSync('ed25519')
}
const privateJwk = (alg: string, kid?: string): JsonWebKey => ({ ...pairs[alg]!.privateKey.export({ format: 'jwk' }), ...(kid && { kid }) })
const publicJwk = (alg: string, kid: string): JsonWebKey => ({ ...pairs[alg]!.publicKey.export({ format: 'jwk' }), kid })

async function keysFile (test: Test, ...keys: unknown[]): Promise<string> {
  const file = join(await temporaryFolder(test), 'keys.json')
  await writeFile(file, JSON.stringify({ keys }))
  return file
}

const claims = (more: Record<string, unknown> = {}) => ({
  sub: 'anna', scope: 'configs:read', exp: seconds() + 600, iss: issuer, aud: audience, ...more
})

async function sign (alg: string, kid: string | undefined, more: Record<string, unknown> = {}, header: Record<string, unknown> = {}): Promise<string> {
  return await new SignJWT(claims(more)).setProtectedHeader({ alg, ...(kid && { kid }), ...header }).sign(pairs[alg]!.privateKey)
}

/** Signs anything with a shared secret. */
function hmac (header: unknown, payload: unknown, secret: string | Buffer = JWT_SECRET): string {
  const signed = `${base64url(header)}.${base64url(payload)}`
  return `${signed}.${createHmac('sha256', secret).update(signed).digest('base64url')}`
}

const ask = async (client: Client, token: string) => await client.with({ authorization: `Bearer ${token}` }).ask('/api/configs')

const env = { JWT_SECRET, JWT_ISSUER: issuer, JWT_AUDIENCE: audience }
const file = await keysFile(t, privateJwk('RS256', 'rsa'), privateJwk('ES256', 'ec'), privateJwk('EdDSA', 'ed'))
const { client } = await startApp(t, { ...env, JWT_KEYS_FILE: file })

async function granted (from: Client): Promise<string> {
  return (await from.ask<{ access_token: string }>('/api/auth/token', { body: { grant_type: 'client_credentials' } })).body.access_token
}

t.test('the first key of the file signs, and others can check it with what is published', async (t) => {
  const token = await granted(client)
  const { body, headers } = await client.with({}).ask<{ keys: JWK[] }>('/.well-known/jwks.json')
  t.same(body.keys.map(({ kid, alg, use }) => [kid, alg, use]), [['rsa', 'RS256', 'sig'], ['ec', 'ES256', 'sig'], ['ed', 'EdDSA', 'sig']])
  t.notMatch(JSON.stringify(body), /"(d|p|q|dp|dq|qi|k)":/, 'nothing private')
  t.equal(headers.get('cache-control'), 'public, max-age=300')
  const { payload, protectedHeader } = await jwtVerify(token, createLocalJWKSet(body), { issuer, audience, typ: 'at+jwt' })
  t.match(protectedHeader, { alg: 'RS256', kid: 'rsa' })
  t.match(payload, { tid: 'default', use: 'access', jti: String })
  t.equal((await ask(client, token)).status, 200)
})

t.test('every key of the file and the secret are checked with their own algorithm', async (t) => {
  for (const [alg, kid] of [['RS256', 'rsa'], ['ES256', 'ec'], ['EdDSA', 'ed']] as const) {
    t.equal((await ask(client, await sign(alg, kid))).status, 200, alg)
    isProblem(t, await ask(client, await sign(alg, undefined)), 'unauthenticated', `${alg} without a kid`)
    isProblem(t, await ask(client, await sign(alg, 'other')), 'unauthenticated', `${alg} of an unknown kid`)
  }
  t.equal((await ask(client, hmac({ alg: 'HS256' }, claims()))).status, 200, 'typ may be absent')
  t.equal((await ask(client, hmac({ alg: 'HS256', kid: 'whatever', typ: 'at+JWT' }, claims({ use: 'access' })))).status, 200)
  for (const role of ['viewer', 'owner']) t.equal((await ask(client, hmac({ alg: 'HS256' }, claims({ scope: undefined, role })))).status, 200, `the role ${role}`)
  isProblem(t, await ask(client, hmac({ alg: 'HS256' }, claims({ scope: undefined, role: 'toString' }))), 'forbidden')
})

t.test('what is forged, bent or meant for something else is refused', async (t) => {
  const good = await sign('RS256', 'rsa')
  const [head, body, signature] = good.split('.') as [string, string, string]
  const published = pairs['RS256']!.publicKey
  const pem = published.export({ type: 'spki', format: 'pem' }) as string
  const attacker = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const attackers = async (header: Record<string, unknown>) =>
    await new SignJWT(claims()).setProtectedHeader({ alg: 'RS256', ...header }).sign(attacker.privateKey)
  const jwk = createPublicKey(attacker.privateKey).export({ format: 'jwk' })
  const last = signature.at(-1)!
  const wrong: Record<string, string> = {
    'alg none': `${base64url({ alg: 'none', kid: 'rsa' })}.${body}.`,
    'alg None with a signature': `${base64url({ alg: 'None', kid: 'rsa' })}.${body}.${signature}`,
    'alg none, hidden behind HS256': `${base64url('{"alg":"HS256","alg":"none"}')}.${body}.`,
    'HS256, hidden behind none, without a signature': `${base64url('{"alg":"none","alg":"HS256"}')}.${body}.`,
    'the public key as the secret: PEM': hmac({ alg: 'HS256', kid: 'rsa' }, claims(), pem),
    'the public key as the secret: PEM, trimmed': hmac({ alg: 'HS256', kid: 'rsa' }, claims(), pem.trim()),
    'the public key as the secret: DER': hmac({ alg: 'HS256', kid: 'rsa' }, claims(), published.export({ type: 'spki', format: 'der' })),
    'the public key as the secret: PKCS 1': hmac({ alg: 'HS256', kid: 'rsa' }, claims(), published.export({ type: 'pkcs1', format: 'pem' })),
    'the public key as the secret: JWK': hmac({ alg: 'HS256', kid: 'rsa' }, claims(), JSON.stringify(publicJwk('RS256', 'rsa'))),
    'an empty secret': hmac({ alg: 'HS256' }, claims(), ''),
    'the name of another key': await sign('RS256', 'ec'),
    'another algorithm for the key': await new SignJWT(claims()).setProtectedHeader({ alg: 'PS256', kid: 'rsa' }).sign(pairs['RS256']!.privateKey),
    'RS512 for the key': await new SignJWT(claims()).setProtectedHeader({ alg: 'RS512', kid: 'rsa' }).sign(pairs['RS256']!.privateKey),
    'a key of the attacker': await attackers({ kid: 'rsa' }),
    'a key in the header': await attackers({ kid: 'rsa', jwk }),
    'a key set to fetch': await attackers({ kid: 'rsa', jku: 'http://127.0.0.1:1/jwks.json' }),
    'a certificate to fetch': await attackers({ kid: 'rsa', x5u: 'http://127.0.0.1:1/cert.pem' }),
    'a certificate in the header': await attackers({ kid: 'rsa', x5c: ['MIIB'] }),
    'a kid that is a path': await attackers({ kid: '../../../../dev/null' }),
    'a kid that is an operator': `${base64url({ alg: 'RS256', kid: { $ne: '' } })}.${body}.${signature}`,
    'a kid that is no member of its own': await attackers({ kid: '__proto__' }),
    'crit without a member': hmac({ alg: 'HS256', crit: [] }, claims()),
    'crit of something known': hmac({ alg: 'HS256', crit: ['b64'], b64: false }, claims()),
    expired: await sign('RS256', 'rsa', { exp: seconds() - 62 }),
    'not yet': await sign('RS256', 'rsa', { nbf: seconds() + 62 }),
    'issued tomorrow': await sign('RS256', 'rsa', { iat: seconds() + 86_400 }),
    'exp that overflows': hmac({ alg: 'HS256' }, '{"sub":"a","scope":"admin","iss":"https://issuer.example","aud":"parley","exp":1e999}'),
    'for somebody else': await sign('RS256', 'rsa', { aud: 'other' }),
    'by somebody else': await sign('RS256', 'rsa', { iss: 'https://issuer.example/' }),
    'a refresh token, by use': await sign('RS256', 'rsa', { use: 'refresh' }),
    'a refresh token, by token_use': hmac({ alg: 'HS256' }, claims({ token_use: 'refresh' })),
    'an ID token': hmac({ alg: 'HS256' }, claims({ token_use: 'id' })),
    'a refresh token, by typ': hmac({ alg: 'HS256', typ: 'rt+jwt' }, claims()),
    'a logout token': hmac({ alg: 'HS256', typ: 'logout+jwt' }, claims()),
    'of a sign-in that is none': hmac({ alg: 'HS256' }, claims({ fam: 'f'.repeat(24), role: 'owner', email: 'a@b.example' })),
    'of a key that is none': hmac({ alg: 'HS256' }, claims({ key: 'f'.repeat(24) })),
    'of a key that is an operator': hmac({ alg: 'HS256' }, claims({ key: { $ne: '' } })),
    'a visitor of nothing': hmac({ alg: 'HS256' }, claims({ visitor: true })),
    'a list of tokens': hmac({ alg: 'HS256' }, [claims()]),
    'a header that is no object': hmac('null', claims()),
    'a header that is not JSON': `e30x.${body}.${signature}`,
    'padding behind the signature': `${good}=`,
    'a signature that is spelled in another way': `${head}.${body}.${signature.slice(0, -1)}${last === 'A' ? 'B' : String.fromCharCode(last.charCodeAt(0) + 1)}`,
    'a signature in standard base64': `${head}.${body}.${signature.replaceAll('-', '+').replaceAll('_', '/')}+`,
    'a shorter signature': good.slice(0, -2),
    'more than a header field should have': hmac({ alg: 'HS256' }, claims({ pad: 'x'.repeat(9000) }))
  }
  for (const [label, token] of Object.entries(wrong)) isProblem(t, await ask(client, token), 'unauthenticated', label)
  t.equal((await ask(client, good)).status, 200, 'the whole one is good')
  t.equal((await ask(client, await sign('RS256', 'rsa', { exp: seconds() - 55 }))).status, 200, 'clocks may be a minute off')
})

t.test('a second spelling of a signature is no second rate limit', async (t) => {
  const { client } = await startApp(t, { JWT_SECRET, RATE_LIMIT_PER_MINUTE: '3', JWT_KEYS_FILE: await keysFile(t, privateJwk('ES256', 'ec')) })
  const token = await sign('ES256', 'ec')
  const [head, body, signature] = token.split('.') as [string, string, string]
  const order = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n
  const bytes = Buffer.from(signature, 'base64url')
  const s = order - BigInt(`0x${bytes.subarray(32).toString('hex')}`)
  const mirrored = Buffer.concat([bytes.subarray(0, 32), Buffer.from(s.toString(16).padStart(64, '0'), 'hex')]).toString('base64url')
  const twin = `${head}.${body}.${mirrored}`
  t.equal((await ask(client, token)).headers.get('ratelimit-remaining'), '2')
  t.equal((await ask(client, twin)).headers.get('ratelimit-remaining'), '1', 'the other root of an ECDSA signature holds, too')
  await ask(client, token)
  isProblem(t, await ask(client, twin), 'rate_limited')
})

t.test('a key is replaced under way: nobody is turned away who was let in before, until the old key is gone', async (t) => {
  const shared = { MONGODB_URI: await storeUri(), MONGODB_DATABASE: databaseName() }
  const started = async (...keys: unknown[]) => (await startApp(t, { ...env, ...shared, JWT_KEYS_FILE: await keysFile(t, ...keys) })).client
  const [old, fresh] = [privateJwk('ES256', 'old'), privateJwk('EdDSA', 'new')]
  const before = await started(old)
  const [overlapping, after] = [await started(fresh, old), await started(fresh)]
  const early = await granted(before)
  // Both generations of replicas serve at once: what the new ones sign is known where both keys are.
  const statuses = await Promise.all(Array.from({ length: 40 }, async (_, i) =>
    (await ask(overlapping, i % 2 === 0 ? early : await granted(overlapping))).status))
  t.same(new Set(statuses), new Set([200]))
  isProblem(t, await ask(after, early), 'unauthenticated')
  t.equal((await ask(after, await granted(overlapping))).status, 200)
})

t.test('a file that holds no usable keys stops the start', async (t) => {
  const folder = await temporaryFolder(t)
  const broken = join(folder, 'broken.json')
  await writeFile(broken, '{"keys": hunter2')
  const short = generateKeyPairSync('rsa', { modulusLength: 1024 }).privateKey.export({ format: 'jwk' })
  const cases: Record<string, string> = {
    'not there': join(folder, 'nothing.json'),
    'not JSON': broken,
    'no keys': await keysFile(t),
    'no private part': await keysFile(t, publicJwk('RS256', 'x')),
    'a key of another kind': await keysFile(t, { kty: 'oct', k: 'hunter2' }),
    'a key for encryption': await keysFile(t, { ...privateJwk('RS256'), use: 'enc' }),
    'a short key': await keysFile(t, short),
    'two of one name': await keysFile(t, privateJwk('RS256', 'x'), privateJwk('ES256', 'x'))
  }
  for (const [label, JWT_KEYS_FILE] of Object.entries(cases)) {
    const thrown = await t.rejects(loadOwnKeys(loadConfig({ JWT_KEYS_FILE })), { name: 'ConfigError', message: /^JWT_KEYS_FILE cannot be used \([^\n]+\)\./ }, label)
    t.notMatch(String(thrown), 'hunter2')
  }
  const { client } = await startApp(t, { JWT_KEYS_FILE: await keysFile(t, privateJwk('EdDSA')) })
  const { keys: [named] } = (await client.ask<{ keys: JWK[] }>('/.well-known/jwks.json')).body
  t.match(named!.kid, /^[\w-]{43}$/, 'a key without a name is named by its thumbprint')
  t.ok(await importJWK(named!))
})

t.test('a remote issuer: its keys are kept while it is away, and asked for with measure', async (t) => {
  let [asked, answer]: [number, () => { status: number, body: string }] = [0, () => ({ status: 200, body: JSON.stringify({ keys: [] }) })]
  const set = (...keys: unknown[]) => () => ({ status: 200, body: JSON.stringify({ keys }) })
  const server = createServer((_request, response) => {
    asked++
    const { status, body } = answer()
    response.writeHead(status, { location: '/elsewhere' }).end(body)
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/jwks`
  const { client } = await startApp(t, { JWT_JWKS_URL: url, JWT_ISSUER: issuer, JWT_AUDIENCE: audience, JWT_KEYS_FILE: file })
  const now = performance.now.bind(performance)
  let later = 0
  t.intercept(performance, 'now', { value: () => now() + later })

  t.equal((await ask(client, await granted(client))).status, 200)
  t.equal(asked, 0, 'for tokens of this server nobody is asked')
  const first = await sign('RS256', 'there')
  for (const [label, bad] of Object.entries({
    'not JSON': () => ({ status: 200, body: '<html>' }),
    'no set': () => ({ status: 200, body: '{"keys":{}}' }),
    'a redirect': () => ({ status: 302, body: '' }),
    'an error': () => ({ status: 500, body: '' }),
    'too much': () => ({ status: 200, body: ' '.repeat(300_000) }),
    'unusable keys': set({ kty: 'oct', k: 'AAAA', kid: 'there' }, { kty: 'RSA', n: 'x', e: 'y', kid: 'there' }, { ...publicJwk('RS256', 'there'), use: 'enc' },
      { ...generateKeyPairSync('rsa', { modulusLength: 1024 }).publicKey.export({ format: 'jwk' }), kid: 'there' })
  })) {
    answer = bad
    isProblem(t, await ask(client, first), 'unauthenticated', label)
    later += 10_001
  }

  answer = set(publicJwk('RS256', 'there'))
  asked = 0
  t.same((await Promise.all(Array.from({ length: 5 }, async () => await ask(client, first)))).map(({ status }) => status), [200, 200, 200, 200, 200])
  t.equal(asked, 1, 'asked once for all')
  const unknown = await sign('ES256', 'newer')
  for (let i = 0; i < 20; i++) isProblem(t, await ask(client, await sign('ES256', `unknown-${i}`)), 'unauthenticated')
  t.equal(asked, 1, 'unknown keys do not make it ask again at once')
  answer = set(publicJwk('RS256', 'there'), publicJwk('ES256', 'newer'))
  later += 10_001
  t.equal((await ask(client, unknown)).status, 200, 'a key that is new there is found')

  answer = () => ({ status: 503, body: '' })
  later += 3_600_000
  t.equal((await ask(client, first)).status, 200, 'while the issuer is away, its keys go on serving')
  later += 86_400_000
  isProblem(t, await ask(client, first), 'unauthenticated', 'but not for ever')

  answer = set(publicJwk('RS256', 'there'))
  later += 10_001
  const mighty = await sign('RS256', 'there', { scope: 'platform configs:read', key: 'f'.repeat(24), fam: 'x', visitor: { configId: 'f'.repeat(24) } })
  t.equal((await ask(client, mighty)).status, 200, 'what only this server gives is not heard from it')
})
