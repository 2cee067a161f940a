import { Type } from './type.ts'

/** What goes with the cookie of a refresh token. */
export const CookieHeaders = Type.Object({
  'x-csrf-token': Type.Optional(Type.String({ maxLength: 200, description: 'The `csrfToken` of the sign-in. Where the cookie is used, it is needed.' }))
})

export const CsrfToken = Type.Object({
  csrfToken: Type.String({ description: 'Goes in the header `X-CSRF-Token` whenever the cookie is used. Stays the same until the sign-in ends.' })
}, { $id: 'CsrfToken', description: 'What goes with the cookie of a refresh token.', examples: [{ csrfToken: 'q83vEjRWeJCrze8SNFZ4kA' }] })
