import { Text } from './text.ts'
import { closed, Type } from './type.ts'

export const ProviderPath = Type.Object({
  provider: Type.String({ pattern: '^[a-z]{1,20}$', description: '`google`, `github`, `microsoft` or `oidc`, where it is set up. Open to growth.' })
})

export const ProviderLoginQuery = Type.Object({
  returnTo: Type.Optional(Text({
    minLength: 1,
    maxLength: 2000,
    description: 'Where to send the browser after the login: a path here, or an address on one of the origins in `CORS_ORIGINS`. ' +
      'Without it, the login is answered as JSON.'
  })),
  invitation: Type.Optional(Type.String({
    pattern: '^[\\w-]{43}$', description: 'The token of an invitation to accept with the login. It must be for the address that the provider tells.'
  }))
}, closed)

// Open, because providers add parameters of their own. No limit is given where a provider may be the one to choose.
export const ProviderCallbackQuery = Type.Object({
  state: Text({ minLength: 1, maxLength: 200, description: 'As it was sent to the provider.' }),
  code: Type.Optional(Text({ minLength: 1, maxLength: 8000, description: 'What the provider gives for a token. Absent where the login failed.' })),
  error: Type.Optional(Text({ minLength: 1, maxLength: 200, description: 'Why the login failed, such as `access_denied`.' })),
  iss: Type.Optional(Text({ minLength: 1, maxLength: 2000, description: 'The issuer, where the provider names itself.' }))
})
