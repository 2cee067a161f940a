import { Type } from './type.ts'

/** The entity tag of a version. */
export const etag = (version: number) => `"${version}"`

/** The header that makes a change depend on the version. */
export const IfMatch = Type.Object({
  'if-match': Type.Optional(Type.String({ maxLength: 1000, description: 'The ETag of the version that is to be changed; else 412.' }))
})
