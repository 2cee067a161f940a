/** Who somebody is, as a provider says. */
export interface Identity {
  /** The provider by its name here. */
  readonly provider: string
  /** Stands for the person at the provider, for ever: who issued it and what it calls them. */
  readonly subject: string
  readonly email: string
  /** Whether the provider vouches for the address. */
  readonly emailVerified: boolean
  readonly name?: string
}

/** What ties the parts of one login together: the way out, the way back and the exchange of the code. */
export interface LoginSecrets {
  readonly state: string
  readonly nonce: string
  readonly codeVerifier: string
}

/** What the provider had the browser bring back; `code` or `error`. */
export interface AuthorizationResponse {
  readonly state: string
  readonly code?: string
  readonly error?: string
  readonly iss?: string
}

/** Where people can log in who have no password here. */
export interface LoginProvider {
  readonly name: string
  /** Where the browser goes to log in. */
  authorizationUrl (secrets: LoginSecrets, redirectUri: string): Promise<URL>
  /** Who came back. */
  identify (response: AuthorizationResponse, secrets: LoginSecrets, redirectUri: string): Promise<Identity>
}

/** How Parley is known at a provider. */
export interface ClientCredentials {
  readonly clientId: string
  readonly clientSecret: string
}
