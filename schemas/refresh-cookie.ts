import { Type } from './type.ts'

/** What goes with the cookie of a refresh token. */
export const CookieHeaders = Type.Object({
  'x-csrf-token': Type.Optional(Type.String({ maxLength: 200, description: 'The `csrfToken` of the sign-in. Where the cookie is used, it is needed.' }))
})
