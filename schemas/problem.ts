import { ErrorCode } from './error-code.ts'
import { Message } from './message.ts'
import { quotaNames, quotaSubjects } from './quota.ts'
import { Timestamp } from './text.ts'
import { Long, OpenWord, Ref, Type } from './type.ts'

/** RFC 9457 problem details: the body of every failed request. */
export const Problem = Type.Object({
  type: Type.String({ format: 'uri-reference', description: 'A URI for the kind of problem; it ends with the code.' }),
  title: Type.String({ description: 'What this kind of problem is, in one sentence.' }),
  status: Type.Integer({ minimum: 400, maximum: 599, description: 'The HTTP status.' }),
  code: ErrorCode,
  detail: Type.String({ description: 'What happened this time.' }),
  instance: Type.String({ description: 'The path of the request.' }),
  requestId: Type.String({ description: 'The same as the `x-request-id` header; quote it when you ask for help.' }),
  retryable: Type.Boolean({ description: 'Whether the same request may succeed later.' }),
  errors: Type.Optional(Type.Array(Type.Object({
    path: Type.String({ description: 'JSON Pointer to the member, such as `/name`.' }),
    message: Type.String({ description: 'What does not fit, for people.' })
  }), { description: 'For `validation_failed`: what does not fit.' })),
  limit: Type.Optional(Type.String({ description: 'For `rate_limited`: which limit, such as `token`. Others may come.' })),
  quota: Type.Optional(Type.Object({
    name: OpenWord(quotaNames, { description: 'Such as `tokensPerDay`.' }),
    subject: OpenWord(quotaSubjects, { description: 'Whose it is: `tenant`, `user` or `key`.' }),
    limit: Long({ description: 'What may be used.' }),
    used: Long({ description: 'What has been used; the rest is reserved by what is running, or less than is needed.' }),
    resetAt: Timestamp
  }, { description: 'For `quota_exceeded`: of which quota too little is left, and when that is over.' })),
  specificationId: Type.Optional(Type.String({ description: 'The specification that was kept although no draft could be made.' })),
  userMessage: Type.Optional(Ref(Message)),
  botMessage: Type.Optional(Ref(Message))
}, {
  $id: 'Problem',
  description: 'What went wrong (RFC 9457). When a model failed, the messages of the turn are in it.',
  examples: [{
    type: '/problems/validation_failed',
    title: 'The request does not match its schema.',
    status: 400,
    code: 'validation_failed',
    detail: 'body/purpose must NOT have fewer than 1 characters',
    instance: '/api/configs',
    requestId: '0b3c2f5e-6c0c-4f0d-9a6f-6a1d1c1f5f10',
    retryable: false,
    errors: [{ path: '/purpose', message: 'must NOT have fewer than 1 characters' }]
  }]
})
