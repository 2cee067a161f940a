import { ConfigError, type Config } from '../config.ts'
import { GitHubProvider } from './github-provider.ts'
import { type ClientCredentials, type LoginProvider } from './login-provider.ts'
import { type Claims, OpenIdProvider } from './openid-provider.ts'

const TIMEOUT_MS = 5000

const isTrue = (claim: unknown) => claim === true || claim === 'true' || claim === 1 || claim === '1'

/** What most providers say of an address that they have seen to. */
export const isVerified = ({ email_verified: verified }: Claims) => isTrue(verified)

/** Of Microsoft's addresses most are what an administrator has written; this says that their domain is the tenant's own. */
export const isOwnedDomain = (claims: Claims) => isVerified(claims) || isTrue(claims['xms_edov'])

type Prefix = 'OAUTH_GOOGLE' | 'OAUTH_GITHUB' | 'OAUTH_MICROSOFT' | 'OIDC'

/** Undefined: not set up. Throws `ConfigError` where it is half set up. */
function credentials (config: Config, prefix: Prefix): ClientCredentials | undefined {
  const names = [`${prefix}_CLIENT_ID`, `${prefix}_CLIENT_SECRET`] as const
  const [clientId, clientSecret] = names.map((name) => config[name])
  if (clientId === undefined && clientSecret === undefined) return undefined
  if (clientId === undefined || clientSecret === undefined) throw new ConfigError(`${names.join(' and ')} must both be set, or neither.`)
  if (config.PUBLIC_URL === undefined) throw new ConfigError(`PUBLIC_URL must be set with ${names[0]}: providers send browsers back there.`)
  return { clientId, clientSecret }
}

/** The providers that the environment sets up, by name. */
export function configuredProviders (config: Config, timeoutMs = TIMEOUT_MS): ReadonlyMap<string, LoginProvider> {
  const providers: LoginProvider[] = []
  const google = credentials(config, 'OAUTH_GOOGLE')
  if (google) {
    const issuer = new URL('https://accounts.google.com')
    providers.push(new OpenIdProvider({ name: 'google', issuer, vouches: isVerified, secretInBody: true, timeoutMs, ...google }))
  }
  const microsoft = credentials(config, 'OAUTH_MICROSOFT')
  if (microsoft) {
    const issuer = new URL(`https://login.microsoftonline.com/${config.OAUTH_MICROSOFT_TENANT}/v2.0`)
    providers.push(new OpenIdProvider({ name: 'microsoft', issuer, vouches: isOwnedDomain, secretInBody: true, timeoutMs, ...microsoft }))
  }
  const github = credentials(config, 'OAUTH_GITHUB')
  if (github) providers.push(new GitHubProvider({ url: new URL(config.OAUTH_GITHUB_URL), timeoutMs, ...github }))
  const other = credentials(config, 'OIDC')
  if ((other === undefined) !== (config.OIDC_ISSUER === undefined)) {
    throw new ConfigError('OIDC_ISSUER, OIDC_CLIENT_ID and OIDC_CLIENT_SECRET must all be set, or none.')
  }
  if (other) {
    providers.push(new OpenIdProvider({ name: 'oidc', issuer: new URL(config.OIDC_ISSUER!), vouches: isVerified, timeoutMs, ...other }))
  }
  return new Map(providers.map((provider) => [provider.name, provider]))
}
