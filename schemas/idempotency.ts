import { Type } from './type.ts'

/** The header that makes a POST safe to repeat. */
export function IdempotencyKey (description: string) {
  return Type.String({ minLength: 1, maxLength: 255, pattern: '^[\\x21-\\x7E]+$', description })
}

/** The headers of a request that creates something. */
export const CreationHeaders = Type.Object({
  'idempotency-key': Type.Optional(IdempotencyKey(
    'Makes the request safe to repeat for 24 hours: the same key and body never makes anything twice, and gets the first ' +
    'answer again. A key is its caller\'s own and stands for one operation. A request that failed with a 4xx may be sent ' +
    'again with another body.'
  ))
})
