import { randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import t from 'tap'
import { buildApp } from '../src/app.ts'
import { newApiKey } from '../src/auth/api-key.ts'
import { ConfigError, Environment, loadConfig } from '../src/config.ts'
import { storeUri, temporaryFolder } from './helper.ts'

const quotas = ['TENANT', 'USER', 'KEY'].flatMap((whose) => ['TOKENS', 'MESSAGES'].flatMap((what) => [
  `QUOTA_${whose}_${what}_PER_DAY`, `QUOTA_${whose}_${what}_PER_MONTH`
]))

t.test('an empty environment is a good one', async (t) => {
  t.same(loadConfig({}), {
    PORT: 3000,
    HOST: '127.0.0.1',
    NODE_ENV: 'development',
    LOG_LEVEL: 'info',
    DATA_DIR: '.data',
    MONGODB_DATABASE: 'parley',
    MIGRATE_ON_START: 'true',
    MISTRAL_BASE_URL: 'https://api.mistral.ai',
    MISTRAL_MODEL: 'mistral-small-latest',
    MISTRAL_DIALECT: 'mistral',
    MISTRAL_FIRST_TOKEN_TIMEOUT_MS: 30_000,
    MISTRAL_IDLE_TIMEOUT_MS: 20_000,
    MISTRAL_TIMEOUT_MS: 120_000,
    MISTRAL_MAX_CONCURRENCY: 256,
    ACCESS_TOKEN_TTL: '15m',
    REFRESH_TOKEN_TTL: '7d',
    RATE_LIMIT_PER_MINUTE: 60,
    RATE_LIMIT_LOGIN_ACCOUNT: 10,
    RATE_LIMIT_LOGIN_IP: 50,
    RATE_LIMIT_PROVIDER_LOGIN_IP: 100,
    RATE_LIMIT_REGISTRATION_IP: 50,
    PLATFORM_ADMINS: '',
    OTEL_SERVICE_NAME: 'parley',
    MAIL_FROM: 'Parley <parley@localhost>',
    OAUTH_GITHUB_URL: 'https://github.com',
    OAUTH_MICROSOFT_TENANT: 'common',
    RATE_LIMIT_RESET_ACCOUNT: 5,
    RATE_LIMIT_RESET_IP: 50,
    RATE_LIMIT_VISITOR_SESSION: 20,
    RATE_LIMIT_VISITOR_DAY: 200,
    RATE_LIMIT_VISITOR_IP: 100,
    OUTGOING_ALLOWED_NETWORKS: '',
    CORS_ORIGINS: '',
    BODY_LIMIT_BYTES: 262_144,
    MAX_MESSAGE_CHARS: 5000,
    TURN_LEASE_MS: 15_000,
    STREAM_FLUSH_MS: 250,
    ...Object.fromEntries(quotas.map((name) => [name, 0]))
  })
  const empty = Object.fromEntries(Object.keys(Environment.properties).map((name) => [name, '']))
  t.same(loadConfig(empty), loadConfig({}), 'an empty value counts as unset')
  t.same(loadConfig({ PATH: '/bin', port: '1' }), loadConfig({}), 'what is not listed is not read')
})

const good: Record<string, Array<[string, unknown?]>> = {
  PORT: [['0', 0], ['65535', 65535], ['08080', 8080]],
  TLS_CERT: [['/etc/parley/tls.crt']],
  TLS_KEY: [['/etc/parley/tls.key']],
  ALLOW_PLAINTEXT: [['database'], ['database, redis,smtp,model']],
  HOST: [['0.0.0.0'], ['::1'], ['localhost'], ['fe80::1%eth0']],
  TRUST_PROXY: [['0'], ['1'], ['32'], ['loopback'], ['10.0.0.0/8, 192.168.1.1'], ['::1,fc00::/7,uniquelocal'], ['::/1']],
  NODE_ENV: [['production'], ['test']],
  LOG_LEVEL: [['trace'], ['silent']],
  OTEL_EXPORTER_OTLP_ENDPOINT: [['http://127.0.0.1:4318'], ['https://collector.example/otlp']],
  OTEL_SERVICE_NAME: [['parley-eu']],
  SENTRY_DSN: [['https://0123abcd@errors.example/42'], ['http://0123abcd@127.0.0.1:9000/path/1']],
  DATA_DIR: [['/var/lib/parley'], ['C:\\parley data']],
  MONGODB_URI: [['mongodb://localhost'], ['mongodb://u:p%40@a:1,b:2/db?replicaSet=rs0'],
    ['mongodb+srv://cluster.example/']],
  MONGODB_DATABASE: [['parley-2'], ['a'.repeat(63)]],
  OUTGOING_ALLOWED_NETWORKS: [['127.0.0.0/8'], ['10.1.0.0/16, fd00::/8']],
  MIGRATE_ON_START: [['true'], ['false']],
  REDIS_URL: [['redis://127.0.0.1:6379'], ['rediss://user:p%40@redis.example:6380/1']],
  MISTRAL_API_KEY: [['sk-1234']],
  MISTRAL_BASE_URL: [['http://127.0.0.1:4010'], ['https://proxy.example/mistral/']],
  MISTRAL_MODEL: [['mistral-large-latest']],
  MISTRAL_DIALECT: [['mistral'], ['openai']],
  MISTRAL_MAX_CONCURRENCY: [['1', 1], ['10000', 10_000]],
  BOOTSTRAP_API_KEY: [[`pk_abcDEF12_${'x'.repeat(32)}`]],
  JWT_SECRET: [['s'.repeat(32)], ['é'.repeat(16)]],
  ENCRYPTION_KEYS: [[`a:${'A'.repeat(43)}=`], [`2026-b:${'B'.repeat(43)}=, a:${'/'.repeat(43)}=`]],
  JWT_ISSUER: [['https://issuer.example']],
  JWT_AUDIENCE: [['parley']],
  REGISTRATION: [['open'], ['closed'], ['invite']],
  PLATFORM_ADMINS: [['ada@example.org, grace@example.org']],
  SMTP_URL: [['smtp://127.0.0.1:25'], ['smtps://user:p%40@mail.example.org/']],
  MAIL_FROM: [['parley@example.org']],
  PUBLIC_URL: [['https://parley.example'], ['http://127.0.0.1:3000']],
  OAUTH_GITHUB_URL: [['https://github.example'], ['http://127.0.0.1:4000'], ['http://[::1]:4000'], ['http://localhost:4000']],
  OAUTH_MICROSOFT_TENANT: [['contoso.onmicrosoft.com'], ['f8cdef31-a31e-4b4a-93e4-5f571e91255a']],
  OIDC_ISSUER: [['https://issuer.example/realms/staff'], ['http://127.0.0.2']],
  RATE_LIMIT_STORE: [['memory'], ['mongo']],
  JWT_KEYS_FILE: [['/etc/parley/keys.json']],
  JWT_JWKS_URL: [['https://issuer.example/.well-known/jwks.json'], ['http://127.0.0.1:4000/jwks']],
  ACCESS_TOKEN_TTL: [['900'], ['90s'], ['15m'], ['366d']],
  REFRESH_TOKEN_TTL: [['1'], ['12h'], ['7d']],
  CORS_ORIGINS: [['https://app.example'], ['https://a.example, http://localhost:5173']],
  BODY_LIMIT_BYTES: [['1024', 1024], ['16777216', 16_777_216]],
  MAX_MESSAGE_CHARS: [['1', 1], ['100000', 100_000]]
}
for (const name of quotas) good[name] = [['0', 0], ['1000000000000', 1_000_000_000_000]]
const milliseconds = ['MISTRAL_FIRST_TOKEN_TIMEOUT_MS', 'MISTRAL_IDLE_TIMEOUT_MS', 'MISTRAL_TIMEOUT_MS',
  'TURN_LEASE_MS', 'STREAM_FLUSH_MS']
const limits = Object.keys(Environment.properties).filter((name) => /^RATE_LIMIT_(?!STORE)/.test(name))
const clients = Object.keys(Environment.properties).filter((name) => /_CLIENT_(ID|SECRET)$/.test(name))
for (const name of clients) good[name] = [['123-abc.apps.example'], ['s~e.c_r-e+t/=']]
for (const name of limits) good[name] = [['0', 0], ['1000000', 1_000_000]]
for (const name of milliseconds) good[name] = [['10', 10], ['3600000', 3_600_000]]

// What a variable cannot do without.
const beside: Record<string, Record<string, string>> = { JWT_JWKS_URL: { JWT_ISSUER: 'https://issuer.example', JWT_AUDIENCE: 'parley' } }

t.test('every variable takes what it is for', async (t) => {
  t.same(Object.keys(good).sort(), Object.keys(Environment.properties).sort(), 'and every variable is tried here')
  for (const [name, values] of Object.entries(good)) {
    for (const [text, value = text] of values) {
      t.equal((loadConfig({ ...beside[name], [name]: text }) as Record<string, unknown>)[name], value, `${name}=${text}`)
    }
  }
})

const notANumber = ['x', '1.5', '1e3', '0x10', 'true', 'false', 'NaN', 'Infinity', ' 1', '1 ', '-1', '+1',
  '9'.repeat(30), '١']
const bad: Record<string, string[]> = {
  PORT: ['65536', ...notANumber],
  HOST: ['http://localhost', 'a b', '127.0.0.1/8', '*'],
  TRUST_PROXY: ['33', '-1', 'true', '*', 'hunter2', 'proxy.example', '10.0.0.0/33', '10.0.0.0/255.0.0.0', '10.0.0', '10.0.0.0/',
    '0.0.0.0/0', '::/0', '::1/129', 'fe80::1%eth0', '::ffff:10.0.0.0/8', '::ffff:10.0.0.1', '0:0:0:0:0:FFFF:a00:0/104', '10.0.0.1,',
    ',', '1,loopback', '::ffff:0:0/96'],
  ALLOW_PLAINTEXT: ['hunter2', 'all', 'database,', 'true', '*', 'Database'],
  LOG_LEVEL: ['verbose', 'INFO', 'warning'],
  OTEL_EXPORTER_OTLP_ENDPOINT: ['collector:4318', 'grpc://collector', 'hunter2'],
  OTEL_SERVICE_NAME: ['x'.repeat(101)],
  SENTRY_DSN: ['hunter2', 'http://hunter2@errors.example/42', 'https://errors.example/42', 'https://hunter2@errors.example/', 'ftp://hunter2@errors.example/1'],
  MONGODB_URI: ['localhost:27017', 'http://localhost', 'mongodb:/hunter2', 'mongodb://', 'mongodb:///db',
    ' mongodb://localhost'],
  MONGODB_DATABASE: ['a b', 'a/b', 'a.b', '$a', 'a'.repeat(64), 'a\0'],
  OUTGOING_ALLOWED_NETWORKS: ['10.1.0.0', 'hunter2', '10.0.0.0/33', '::ffff:10.0.0.0/104'],
  MIGRATE_ON_START: ['hunter2', '1', '0', 'no', 'True'],
  REDIS_URL: ['localhost:6379', 'http://localhost', 'redis:hunter2', 'redis:///hunter2', ' redis://localhost'],
  MISTRAL_API_KEY: ['hunter2 hunter2', 'hunter2\n', 'hünter2'],
  MISTRAL_BASE_URL: ['api.mistral.ai', 'ftp://x', 'file:///etc/passwd', '/v1', 'http://'],
  MISTRAL_DIALECT: ['hunter2', 'OpenAI', 'vllm'],
  MISTRAL_MAX_CONCURRENCY: ['0', '10001', ...notANumber],
  BOOTSTRAP_API_KEY: ['hunter2', `pk_abcDEF12_${'x'.repeat(31)}`, `pk_abcDEF12_${'x'.repeat(33)}`,
    `pk_abcDEF1-_${'x'.repeat(32)}`, `pk_abcDEF12_${'x'.repeat(32)}\n`],
  ENCRYPTION_KEYS: ['hunter2', `a:${'x'.repeat(43)}`, `a:${'x'.repeat(39)}=`, `:${'x'.repeat(43)}=`,
    `a:${'x'.repeat(43)}=,`, `a:${'x'.repeat(43)}=,a:${'y'.repeat(43)}=`, `a.b:${'x'.repeat(43)}=`],
  JWT_SECRET: ['hunter2', 's'.repeat(31)],
  JWT_JWKS_URL: ['http://issuer.example/jwks', 'issuer.example', 'https://issuer.example/jwks'],
  REGISTRATION: ['anyone', 'OPEN'],
  PLATFORM_ADMINS: ['a'.repeat(10_001)],
  SMTP_URL: ['mail.example.org', 'http://mail.example.org', 'smtp://', 'smtp://mail.example.org/?tls=none'],
  MAIL_FROM: ['a\r\nBcc: hunter2@example.org', 'x'],
  PUBLIC_URL: ['parley.example', 'ftp://parley.example', '/'],
  OAUTH_GITHUB_URL: ['github.com', 'http://github.example', 'https://github.example/api', 'https://hunter2@github.example'],
  OAUTH_MICROSOFT_TENANT: ['a/b', '../x', 'a b', ''.padEnd(254, 'a')],
  OIDC_ISSUER: ['issuer.example', 'http://issuer.example', 'http://127.0.0.1.evil.example', 'http://localhost.evil.example',
    'https://issuer.example/?a=b', 'https://issuer.example/#a', 'https://hunter2@issuer.example', 'file:///etc/passwd'],
  RATE_LIMIT_STORE: ['hunter2', 'Memory', 'redis', 'mongodb'],
  ACCESS_TOKEN_TTL: ['0', '367d', '15 m', '-1', '1.5h', '15M', 'hunter2'],
  REFRESH_TOKEN_TTL: ['0d', '7w', ' 7d', '7d '],
  CORS_ORIGINS: ['*', 'app.example', 'https://app.example/', 'https://app.example/path', 'https://a.example,', ',',
    'null', 'https://a.example https://b.example'],
  BODY_LIMIT_BYTES: ['1023', '16777217', '0', ...notANumber],
  MAX_MESSAGE_CHARS: ['0', '100001', ...notANumber]
}
for (const name of clients) bad[name] = ['hunter2 hunter2', 'hunter2\n', 'hünter2']
for (const name of limits) bad[name] = ['1000001', ...notANumber]
for (const name of milliseconds) bad[name] = ['9', '3600001', '0', ...notANumber]

t.test('a value that cannot be used stops the start with one line that names the variable', async (t) => {
  for (const [name, values] of Object.entries(bad)) {
    for (const value of values) {
      const label = `${name}=${JSON.stringify(value)}`
      const thrown = t.throws(() => loadConfig({ [name]: value }), { name: 'ConfigError' }, label)
      t.ok(thrown instanceof ConfigError, label)
      const message = thrown instanceof Error ? thrown.message : ''
      t.match(message, new RegExp(`^${name} cannot be used \\(.+\\)\\. .+$`), label)
      t.notMatch(message, /\n|hunter2|passwd|xxxxxxxx|ssssssss/, `${label}: in one line, without the value`)
    }
  }
})

t.test('a connection string that the driver does not accept is told without what is in it', async (t) => {
  for (const uri of ['mongodb://u:hunter2@h:99999', 'mongodb://u:hunter2@h/?tls=maybe', 'mongodb://u:hunter2@@h/',
    'mongodb://h/?authMechanism=hunter2', 'mongodb://h/?hunter2=1']) {
    const thrown = await t.rejects(buildApp(loadConfig({ MONGODB_URI: uri })),
      { name: 'ConfigError', message: /^MONGODB_URI cannot be used: .+$/ }, uri)
    t.notMatch(String(thrown), /hunter2|\n/)
  }
})

t.test('without a server for the data the app brings its own, and finds everything again', async (t) => {
  const config = loadConfig({ DATA_DIR: await temporaryFolder(t) })
  let app = await buildApp(config)
  const { id } = await app.chatbots.create('default', { purpose: 'Stay.' })
  t.match(app.storeName, config.DATA_DIR)
  await app.close()
  app = await buildApp(config)
  t.match(await app.chatbots.get('default', id), { purpose: 'Stay.' })
  await app.close()
})

t.test('a server that turns the app away is not a mistake in a variable', async (t) => {
  const uri = (await storeUri()).replace('mongodb://', 'mongodb://nobody:wrong@')
  const thrown = await t.rejects(buildApp(loadConfig({ MONGODB_URI: uri })))
  t.notOk(thrown instanceof ConfigError)
})

t.test('what was loaded stays as it is', async (t) => {
  const config = loadConfig({})
  t.ok(Object.isFrozen(config))
  t.throws(() => Object.assign(config, { PORT: 1 }), TypeError)
})

t.test('production refuses secrets that somebody could guess', async (t) => {
  const key = (secret: string) => `pk_abcDEF12_${secret}`
  const good: Record<string, string[]> = {
    JWT_SECRET: [randomBytes(32).toString('base64'), randomBytes(32).toString('hex'), 'correct horse battery staple, and some more'],
    BOOTSTRAP_API_KEY: [newApiKey()]
  }
  const bad: Record<string, string[]> = {
    JWT_SECRET: ['', 's'.repeat(32), 'changeme'.repeat(5), 'change-me-change-me-change-me-change-me!', 'secret'.padEnd(40, 'x1y2z3'),
      'your-256-bit-secret-goes-here-0f9a8b7c', 'my-super-secret-jwt-signing-key-2024', 'this is the default secret of parley',
      '0123456789abcdef0123456789abcdef', 'abcdefghijklmnopqrstuvwxyz012345', '10'.repeat(20), 'abc'.repeat(11) + 'ab'],
    BOOTSTRAP_API_KEY: [key('0'.repeat(32)), key('ab'.repeat(16)), key('changeme'.padEnd(32, 'Ab3Cd4Ef')), key('0123456789'.padEnd(32, 'xYz'))]
  }
  for (const [name, values] of Object.entries(good)) {
    for (const value of values) t.ok(loadConfig({ NODE_ENV: 'production', [name]: value }), `${name}=${value}`)
  }
  for (const [name, values] of Object.entries(bad)) {
    for (const value of values) {
      t.throws(() => loadConfig({ NODE_ENV: 'production', [name]: value }), {
        name: 'ConfigError', message: new RegExp(`^${name} cannot be used \\((it is empty|it can be guessed)\\)\\. [^\\n]+$`)
      }, `${name}=${value}`)
      t.ok(loadConfig({ [name]: value }), 'elsewhere they are taken')
    }
  }
})

t.test('production sends nothing over a network as it is, unless that was said to be meant', async (t) => {
  const key = { MISTRAL_API_KEY: 'x' }
  const plain: Record<string, Array<Record<string, string>>> = {
    database: [
      'mongodb://db.example', 'mongodb://u:hunter2@db.example:27017/?replicaSet=rs0', 'mongodb://127.0.0.1:1,db.example:2', 'mongodb://10.0.0.7', 'mongodb://localhost.example',
      'mongodb://127.0.0.1.example', 'mongodb://u:tls=true@db.example', 'mongodb://db.example/tls=true', 'mongodb://db.example/?tls=false', 'mongodb://db.example/?tls=true&ssl=false',
      'mongodb://localhost@db.example', 'mongodb+srv://db.example/?tls=false', 'mongodb://[fe80::1]:27017'
    ].map((MONGODB_URI) => ({ MONGODB_URI })),
    redis: ['redis://cache.example', 'redis://:hunter2@10.0.0.8:6379/1', 'redis://127.0.0.1@cache.example'].map((REDIS_URL) => ({ REDIS_URL })),
    model: ['http://model.example', 'http://10.0.0.9:8000/v1', 'http://127.0.0.1.example'].map((MISTRAL_BASE_URL) => ({ MISTRAL_BASE_URL, ...key })),
    traces: ['http://collector.example:4318'].map((OTEL_EXPORTER_OTLP_ENDPOINT) => ({ OTEL_EXPORTER_OTLP_ENDPOINT }))
  }
  for (const [name, cases] of Object.entries(plain)) {
    for (const env of cases) {
      const [variable] = Object.keys(env)
      const thrown = t.throws(() => loadConfig({ NODE_ENV: 'production', ...env }), {
        name: 'ConfigError', message: new RegExp(`^${variable} cannot be used \\(the connection would not be encrypted\\)\\. .*ALLOW_PLAINTEXT=${name}\\.$`)
      }, JSON.stringify(env))
      t.notMatch(String(thrown), /hunter2|example|\n/)
      t.ok(loadConfig({ NODE_ENV: 'production', ALLOW_PLAINTEXT: `smtp, ${name}`, ...env }), 'where it is named')
      t.throws(() => loadConfig({ NODE_ENV: 'production', ALLOW_PLAINTEXT: 'smtp', ...env }), 'where something else is named')
      t.ok(loadConfig(env), 'outside production')
    }
  }
  const good: Array<Record<string, string>> = [
    {}, { MISTRAL_BASE_URL: 'http://model.example' },
    ...['mongodb://localhost', 'mongodb://127.0.0.1:27017,localhost:2,[::1]:3/x', 'mongodb://%2Ftmp%2Fparley.sock', 'mongodb+srv://db.example', 'mongodb://db.example/?tls=true',
      'mongodb://u:p@db.example:1,b:2/x?replicaSet=a&TLS=true', 'mongodb://db.example?ssl=true'].map((MONGODB_URI) => ({ MONGODB_URI })),
    ...['rediss://cache.example', 'redis://127.0.0.1:6379', 'redis://:p@localhost', 'redis://[::1]:1'].map((REDIS_URL) => ({ REDIS_URL })),
    ...['https://model.example', 'http://127.0.0.1:4010', 'http://localhost:1', 'http://[::1]:8000'].map((MISTRAL_BASE_URL) => ({ MISTRAL_BASE_URL, ...key }))
  ]
  for (const env of good) t.ok(loadConfig({ NODE_ENV: 'production', ...env }), JSON.stringify(env))
})

async function rowsOf (path: string): Promise<Map<string, string>> {
  const page = await readFile(new URL(path, import.meta.url), 'utf8')
  return new Map([...page.matchAll(/^\| `([A-Z_]+)` \| (.+?) \|/gm)].map(([, name, value]) => [name!, value!]))
}

t.test('the tables of variables are those of the code', async (t) => {
  const rows = await rowsOf('../docs/configuration.md')
  for (const [name, value] of await rowsOf('../README.md')) t.equal(value, rows.get(name), `${name} in the README`)
  for (const [name, { default: value }] of Object.entries<{ default?: string | number }>(Environment.properties)) {
    const shown = value === undefined ? 'unset' : value === '' ? 'empty' : `\`${value}\``
    t.equal(rows.get(name), shown, name)
    rows.delete(name)
  }
  t.strictSame([...rows.keys()], ['STORE_PORT', 'SIM_PORT'], 'and no other')
})
