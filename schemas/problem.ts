import { Long, Ref, Type } from './type.ts'
import { Message } from './message.ts'
import { Timestamp } from './text.ts'

/** RFC 9457 problem details: the body of every failed request. */
export const Problem = Type.Object({
  type: Type.String({ format: 'uri-reference', description: 'A URI for the kind of problem; it ends with the code.' }),
  title: Type.String({ description: 'What this kind of problem is, in one sentence.' }),
  status: Type.Integer({ minimum: 400, maximum: 599, description: 'The HTTP status.' }),
  code: Type.String({
    description: 'The kind of problem for programs, such as `not_found`. Open to growth: treat an unknown code by its status.'
  }),
  detail: Type.String({ description: 'What happened this time.' }),
  instance: Type.String({ description: 'The path of the request.' }),
  requestId: Type.String({ description: 'The same as the `x-request-id` header; quote it when you ask for help.' }),
  retryable: Type.Boolean({ description: 'Whether the same request may succeed later.' }),
  errors: Type.Optional(Type.Array(Type.Object({
    path: Type.String({ description: 'JSON Pointer to the member, such as `/name`.' }),
    message: Type.String()
  }), { description: 'For `validation_failed`: what does not fit.' })),
  limit: Type.Optional(Type.String({ description: 'For `rate_limited`: which limit, such as `token`. Open to growth.' })),
  quota: Type.Optional(Type.Object({
    name: Type.String({ description: 'Such as `tokensPerDay`. Open to growth.' }),
    subject: Type.String({ description: 'Whose it is: `tenant`, `user` or `key`. Open to growth.' }),
    limit: Long({ description: 'What may be used.' }),
    used: Long({ description: 'What has been used; the rest is reserved by what is running, or less than is needed.' }),
    resetAt: Timestamp
  }, { description: 'For `quota_exceeded`: of which quota too little is left, and when that is over.' })),
  specificationId: Type.Optional(Type.String({ description: 'The specification that was kept although no draft could be made.' })),
  userMessage: Type.Optional(Ref(Message)),
  botMessage: Type.Optional(Ref(Message))
}, {
  $id: 'Problem',
  description: 'What went wrong (RFC 9457). When a model failed, the messages of the turn are in it.'
})
