import { Type, type Static } from './type.ts'

/** The body of every failed request for clients of OpenAI. */
export const OpenAiError = Type.Object({
  error: Type.Object({
    message: Type.String({ description: 'What happened this time.' }),
    type: Type.String({ description: '`invalid_request_error`, `requests`, `insufficient_quota` or `server_error`. Open to growth.' }),
    param: Type.Union([Type.String(), Type.Null()], { description: 'The member of the request that does not fit, such as `messages[0].content`.' }),
    code: Type.Union([Type.String(), Type.Null()], {
      description: 'The kind of failure for programs: `invalid_api_key`, `rate_limit_exceeded`, `insufficient_quota`, `model_not_found`, or a code as in `Problem`. Open to growth.'
    })
  }, { description: 'What went wrong.' })
}, { $id: 'OpenAiError', description: 'What went wrong, as OpenAI tells it. `x-should-retry` says whether the same request may succeed later.' })
export type OpenAiError = Static<typeof OpenAiError>
