import { FormatRegistry, Type, type Static } from '@sinclair/typebox'
import { Value } from '@sinclair/typebox/value'
import { logLevels } from '../schemas/log-level.ts'
import { isWeakSecret } from './auth/weak-secrets.ts'
import { durationMs } from './duration.ts'
import { isLoopback } from './loopback.ts'
import { parseNetworks } from './outgoing/networks.ts'
import { plaintextConnections, plaintextNames } from './plaintext.ts'
import { parseKeyRing } from './secrets/key-ring.ts'
import { trustedProxies } from './trusted-proxies.ts'

const milliseconds = (value: number, description: string) =>
  Type.Integer({ minimum: 10, maximum: 3_600_000, default: value, description })

const limit = (value: number, description: string) =>
  Type.Integer({ minimum: 0, maximum: 1_000_000, default: value, description: `${description}; 0 turns it off.` })

const printable = (description: string) => Type.Optional(Type.String({ pattern: '^[\\x21-\\x7E]+$', description }))

const YEAR_MS = 366 * 86_400_000

const lifetime = (value: string, description: string) =>
  Type.String({ format: 'duration', default: value, description: `${description} Such as 900, 90s, 15m, 12h or 7d.` })

const quota = (description: string) =>
  Type.Integer({ minimum: 0, maximum: 1_000_000_000_000, default: 0, description: `${description} 0: no limit.` })

const isOrigin = (text: string) => URL.canParse(text) && new URL(text).origin === text

// The names are part of what is said about a value that does not fit.
FormatRegistry.Set('http-url', (value) => URL.canParse(value) && /^https?:$/.test(new URL(value).protocol))
FormatRegistry.Set('https-url', (value) => {
  if (!URL.canParse(value)) return false
  const { protocol, hostname, search, hash, username } = new URL(value)
  return (protocol === 'https:' || (protocol === 'http:' && isLoopback(hostname))) && search + hash + username === ''
})
FormatRegistry.Set('https://key@host/project', (value) => {
  if (!URL.canParse(value)) return false
  const { protocol, hostname, username, pathname } = new URL(value)
  return (protocol === 'https:' || (protocol === 'http:' && isLoopback(hostname))) && /^\w+$/.test(username) && /\/\d+$/.test(pathname)
})
FormatRegistry.Set('smtp-url', (value) => URL.canParse(value) && /^smtps?:\/\/[^/?#]+\/?$/.test(value))
FormatRegistry.Set('redis-url', (value) => /^rediss?:\/\/[^/]/.test(value) && URL.canParse(value))
FormatRegistry.Set('id:base64-of-32-bytes', (value) => parseKeyRing(value) !== undefined)
FormatRegistry.Set(plaintextNames.join(), (value) => value.split(',').every((name) => (plaintextNames as readonly string[]).includes(name.trim())))
FormatRegistry.Set('32-bytes-or-more', (value) => Buffer.byteLength(value) >= 32)
FormatRegistry.Set('hops-or-addresses', (value) => trustedProxies(value) !== undefined)
FormatRegistry.Set('comma-separated networks', (value) => parseNetworks(value) !== undefined)
FormatRegistry.Set('duration', (value) => durationMs(value) >= 1000 && durationMs(value) <= YEAR_MS)
FormatRegistry.Set('scheme://host:port', (value) => value === '' || value.split(',').every((text) => isOrigin(text.trim())))

/** The environment, variable by variable. What is not listed here is not read. */
export const Environment = Type.Object({
  PORT: Type.Integer({ minimum: 0, maximum: 65535, default: 3000, description: 'Listen port; 0 takes any free one.' }),
  HOST: Type.String({ pattern: '^[0-9A-Za-z.:_%-]+$', default: '127.0.0.1', description: 'Listen address.' }),
  TRUST_PROXY: Type.Optional(Type.String({
    format: 'hops-or-addresses',
    description: 'The proxies in front: how many, or their addresses and networks, separated by commas. Unset: none is trusted.'
  })),
  TLS_CERT: Type.Optional(Type.String({ description: 'File of the certificate, with its chain, in PEM. Unset: no TLS.' })),
  TLS_KEY: Type.Optional(Type.String({ description: 'File of its key, in PEM.' })),
  NODE_ENV: Type.String({ default: 'development', description: '`production` refuses to start on an empty store without a key.' }),
  LOG_LEVEL: Type.Union(logLevels.map((level) => Type.Literal(level)), {
    default: 'info', description: 'The least severe level written: trace, debug, info, warn, error, fatal or silent.'
  }),
  OTEL_EXPORTER_OTLP_ENDPOINT: Type.Optional(Type.String({ format: 'http-url', description: 'Where traces go, by OTLP over HTTP. Unset: there are none.' })),
  OTEL_SERVICE_NAME: Type.String({ minLength: 1, maxLength: 100, default: 'parley', description: 'What traces call this server.' }),
  SENTRY_DSN: Type.Optional(Type.String({
    format: 'https://key@host/project', description: 'Where errors that nobody has expected are reported, by the protocol of Sentry. Unset: they are in the log only.'
  })),
  DATA_DIR: Type.String({ default: '.data', description: 'Folder of the embedded store and the first-run key.' }),
  MONGODB_URI: Type.Optional(Type.String({ pattern: '^mongodb(\\+srv)?://[^/]', description: 'Unset: the embedded store.' })),
  MONGODB_DATABASE: Type.String({ pattern: '^[^/\\\\. "$*<>:|?\\x00]{1,63}$', default: 'parley', description: 'Name of the database.' }),
  MIGRATE_ON_START: Type.Union([Type.Literal('true'), Type.Literal('false')], {
    default: 'true', description: 'Whether a start brings data of earlier versions up to date: true, or false to refuse them.'
  }),
  REDIS_URL: Type.Optional(Type.String({ format: 'redis-url', description: 'Unset: replicas tell each other what they must by the store.' })),
  MISTRAL_API_KEY: Type.Optional(Type.String({ pattern: '^[\\x21-\\x7E]+$', description: 'Unset: the offline provider.' })),
  MISTRAL_BASE_URL: Type.String({ format: 'http-url', default: 'https://api.mistral.ai', description: 'Where the model is.' }),
  MISTRAL_MODEL: Type.String({ default: 'mistral-small-latest', description: 'For configurations that name none.' }),
  MISTRAL_DIALECT: Type.Union([Type.Literal('mistral'), Type.Literal('openai')], {
    default: 'mistral', description: 'mistral, or openai for vLLM, Ollama, llama.cpp, OpenRouter and their like.'
  }),
  MISTRAL_FIRST_TOKEN_TIMEOUT_MS: milliseconds(30_000, 'Until the first byte of text.'),
  MISTRAL_IDLE_TIMEOUT_MS: milliseconds(20_000, 'Between two chunks.'),
  MISTRAL_TIMEOUT_MS: milliseconds(120_000, 'All model work of one turn.'),
  MISTRAL_MAX_CONCURRENCY: Type.Integer({ minimum: 1, maximum: 10_000, default: 256, description: 'Model calls at once.' }),
  BOOTSTRAP_API_KEY: Type.Optional(Type.String({
    pattern: '^pk_[0-9A-Za-z]{8}_[0-9A-Za-z]{32}$', description: 'An admin key of the tenant `default`, stored at start.'
  })),
  JWT_SECRET: Type.Optional(Type.String({ format: '32-bytes-or-more', description: 'HS256 secret, at least 32 bytes. Unset: JWTs of others are refused.' })),
  JWT_KEYS_FILE: Type.Optional(Type.String({ description: 'A JSON Web Key Set with private keys; the first one signs.' })),
  JWT_JWKS_URL: Type.Optional(Type.String({
    format: 'https-url', description: 'The public keys of an issuer whose tokens are taken, too; needs JWT_ISSUER and JWT_AUDIENCE.'
  })),
  JWT_ISSUER: Type.Optional(Type.String({ description: 'The `iss` a JWT must have.' })),
  JWT_AUDIENCE: Type.Optional(Type.String({ description: 'The `aud` a JWT must have.' })),
  ENCRYPTION_KEYS: Type.Optional(Type.String({
    format: 'id:base64-of-32-bytes', description: 'Comma-separated keys for stored secrets: the first encrypts, all decrypt.'
  })),
  RATE_LIMIT_PER_MINUTE: limit(60, 'Requests per credential and minute'),
  RATE_LIMIT_IP: Type.Optional(Type.Integer({
    minimum: 0, maximum: 1_000_000, description: 'Requests per address and minute without a valid credential; unset: as many as with one.'
  })),
  RATE_LIMIT_INTEGRATION: Type.Optional(Type.Integer({
    minimum: 0, maximum: 1_000_000, description: 'Deliveries per integration and minute; unset: as many as requests with a credential.'
  })),
  RATE_LIMIT_STORE: Type.Optional(Type.Union([Type.Literal('memory'), Type.Literal('mongo'), Type.Literal('redis')], {
    description: 'Where requests are counted: memory (each process for itself), mongo or redis (together; redis needs REDIS_URL).'
  })),
  RATE_LIMIT_LOGIN_ACCOUNT: limit(10, 'Attempts to log in per account and 15 minutes'),
  RATE_LIMIT_LOGIN_IP: limit(50, 'Attempts to log in per address and 15 minutes'),
  RATE_LIMIT_PROVIDER_LOGIN_IP: limit(100, 'Steps of logins at providers, each of which has two, per address and 15 minutes'),
  RATE_LIMIT_REGISTRATION_IP: limit(50, 'Registrations per address and hour'),
  RATE_LIMIT_RESET_ACCOUNT: limit(5, 'Requests for mail (password reset, verification) per account and hour'),
  RATE_LIMIT_RESET_IP: limit(50, 'Requests for mail (password reset, verification) per address and hour'),
  RATE_LIMIT_VISITOR_SESSION: limit(20, 'Messages of a visitor per session and 15 minutes'),
  RATE_LIMIT_VISITOR_DAY: limit(200, 'Messages per visitor and day'),
  RATE_LIMIT_VISITOR_IP: limit(100, 'Messages of visitors per address and 15 minutes'),
  PUBLIC_URL: Type.Optional(Type.String({ format: 'http-url', description: 'Where browsers find this server.' })),
  REGISTRATION: Type.Optional(Type.Union([Type.Literal('open'), Type.Literal('closed'), Type.Literal('invite')], {
    description: 'Who may make an account: open (anybody), invite (who was invited) or closed (nobody). Unset: open, in production closed.'
  })),
  PLATFORM_ADMINS: Type.String({
    maxLength: 10_000, default: '', description: 'Comma-separated e-mail addresses whose owners, once verified, have the scope `platform`.'
  }),
  SMTP_URL: Type.Optional(Type.String({ format: 'smtp-url', description: 'smtp:// or smtps://, with user and password. Unset: no mail is sent.' })),
  MAIL_FROM: Type.String({
    pattern: '^[^\\x00-\\x1F\\x7F]{3,320}$', default: 'Parley <parley@localhost>', description: 'The sender of mail.'
  }),
  OAUTH_GOOGLE_CLIENT_ID: printable('Login by Google: the id of the client.'),
  OAUTH_GOOGLE_CLIENT_SECRET: printable('Login by Google: the secret of the client.'),
  OAUTH_GITHUB_CLIENT_ID: printable('Login by GitHub: the id of the client.'),
  OAUTH_GITHUB_CLIENT_SECRET: printable('Login by GitHub: the secret of the client.'),
  OAUTH_GITHUB_URL: Type.String({
    format: 'https-url', pattern: '^[^/]+//[^/]+/?$', default: 'https://github.com', description: 'GitHub, or a GitHub Enterprise Server.'
  }),
  OAUTH_MICROSOFT_CLIENT_ID: printable('Login by Microsoft: the id of the client.'),
  OAUTH_MICROSOFT_CLIENT_SECRET: printable('Login by Microsoft: the secret of the client.'),
  OAUTH_MICROSOFT_TENANT: Type.String({
    pattern: '^[0-9A-Za-z.-]{1,253}$', default: 'common', description: 'Whose accounts: a tenant, or common, organizations or consumers.'
  }),
  OIDC_ISSUER: Type.Optional(Type.String({ format: 'https-url', description: 'Login by an OpenID Connect provider: its issuer.' })),
  OIDC_CLIENT_ID: printable('Login by that provider: the id of the client.'),
  OIDC_CLIENT_SECRET: printable('Login by that provider: the secret of the client.'),
  ACCESS_TOKEN_TTL: lifetime('15m', 'How long an access token lasts.'),
  REFRESH_TOKEN_TTL: lifetime('7d', 'How long a refresh token lasts.'),
  ALLOW_PLAINTEXT: Type.Optional(Type.String({
    format: plaintextNames.join(), description: 'What production may connect to without encryption.'
  })),
  OUTGOING_ALLOWED_NETWORKS: Type.String({
    format: 'comma-separated networks',
    default: '',
    description: 'Networks (CIDR), such as 10.1.0.0/16, at which webhooks may reach addresses that are not public, also by http.'
  }),
  CORS_ORIGINS: Type.String({ format: 'scheme://host:port', default: '', description: 'Comma-separated origins that browsers may call from.' }),
  BODY_LIMIT_BYTES: Type.Integer({ minimum: 1024, maximum: 16_777_216, default: 262_144, description: 'The largest body.' }),
  MAX_MESSAGE_CHARS: Type.Integer({ minimum: 1, maximum: 100_000, default: 5000, description: 'The longest message, in code points.' }),
  TURN_LEASE_MS: milliseconds(15_000, 'How long a turn stays taken after its process has died.'),
  STREAM_FLUSH_MS: milliseconds(250, 'How often the text of a running reply is written to the store.'),
  QUOTA_TENANT_TOKENS_PER_DAY: quota('Tokens that each tenant may use in a day.'),
  QUOTA_TENANT_TOKENS_PER_MONTH: quota('Tokens that each tenant may use in a month.'),
  QUOTA_TENANT_MESSAGES_PER_DAY: quota('Replies that each tenant may have in a day.'),
  QUOTA_TENANT_MESSAGES_PER_MONTH: quota('Replies that each tenant may have in a month.'),
  QUOTA_USER_TOKENS_PER_DAY: quota('Tokens that each end user may use in a day.'),
  QUOTA_USER_TOKENS_PER_MONTH: quota('Tokens that each end user may use in a month.'),
  QUOTA_USER_MESSAGES_PER_DAY: quota('Replies that each end user may have in a day.'),
  QUOTA_USER_MESSAGES_PER_MONTH: quota('Replies that each end user may have in a month.'),
  QUOTA_KEY_TOKENS_PER_DAY: quota('Tokens that each API key may use in a day.'),
  QUOTA_KEY_TOKENS_PER_MONTH: quota('Tokens that each API key may use in a month.'),
  QUOTA_KEY_MESSAGES_PER_DAY: quota('Replies that each API key may have in a day.'),
  QUOTA_KEY_MESSAGES_PER_MONTH: quota('Replies that each API key may have in a month.')
})

export type Config = Readonly<Static<typeof Environment>>

/** A variable that cannot be used; the message is one line that names it. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError'
}

/**
 * Reads and checks the environment once. An empty value counts as unset.
 * Throws `ConfigError`. The value itself is never quoted: it may be a secret.
 */
export function loadConfig (env: Record<string, string | undefined>): Config {
  const given: Record<string, string | number> = {}
  for (const [name, { type }] of Object.entries(Environment.properties)) {
    const text = env[name]
    if (text === undefined || text === '') continue
    // Only plain digits: what else may be read as a number ("0x10", "1e3", "true") is a mistake.
    given[name] = type === 'integer' && /^\d{1,15}$/.test(text) ? Number(text) : text
  }
  const config = Value.Default(Environment, given)
  const [error] = Value.Errors(Environment, config)
  if (error) throw unusable(error.path.slice(1) as keyof Config, error.message)
  const { RATE_LIMIT_STORE: counters, REDIS_URL: redis } = config as Config
  if (counters === 'redis' && redis === undefined) throw unusable('RATE_LIMIT_STORE', 'REDIS_URL is not set')
  const { JWT_JWKS_URL: jwks, JWT_ISSUER: issuer, JWT_AUDIENCE: audience } = config as Config
  if (jwks !== undefined && (issuer === undefined || audience === undefined)) throw unusable('JWT_JWKS_URL', 'JWT_ISSUER or JWT_AUDIENCE is not set')
  refuseWeakSecrets(config as Config, env)
  refusePlaintext(config as Config)
  return Object.freeze(config as Config)
}

function unusable (name: keyof Config, reason: string): ConfigError {
  return new ConfigError(`${name} cannot be used (${reason}). ${String(Environment.properties[name].description)}`)
}

/** In production, a secret that somebody could guess is refused; so is one that was meant to be set and is empty. */
function refuseWeakSecrets ({ NODE_ENV, JWT_SECRET, BOOTSTRAP_API_KEY }: Config, env: Record<string, string | undefined>): void {
  if (NODE_ENV !== 'production') return
  if (env['JWT_SECRET'] === '') throw unusable('JWT_SECRET', 'it is empty')
  if (JWT_SECRET !== undefined && isWeakSecret(JWT_SECRET)) throw unusable('JWT_SECRET', 'it can be guessed')
  const [, , secret] = BOOTSTRAP_API_KEY?.split('_') ?? []
  if (secret !== undefined && isWeakSecret(secret)) throw unusable('BOOTSTRAP_API_KEY', 'it can be guessed')
}

/** In production nothing goes over a network as it is, unless somebody has said that it may. */
function refusePlaintext (config: Config): void {
  if (config.NODE_ENV !== 'production') return
  const allowed = (config.ALLOW_PLAINTEXT ?? '').split(',').map((name) => name.trim())
  for (const [variable, name] of plaintextConnections(config)) {
    if (allowed.includes(name)) continue
    throw new ConfigError(`${variable} cannot be used (the connection would not be encrypted). Use TLS or, on a network of your own, ALLOW_PLAINTEXT=${name}.`)
  }
}
