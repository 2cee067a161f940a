import { errorCodes } from './error-code.ts'
import { OpenWord, OrNull, Type, type Static } from './type.ts'

const codes = [
  'invalid_api_key', 'insufficient_quota', 'rate_limit_exceeded', 'model_not_found', 'ambiguous_model', 'response_not_found',
  'previous_response_not_found', 'unsupported_parameter', 'unsupported_content', 'unsupported_item', 'unsupported_role', 'string_above_max_length'
]

/** The body of every failed request for clients of OpenAI. */
export const OpenAiError = Type.Object({
  error: Type.Object({
    message: Type.String({ description: 'What happened this time.' }),
    type: OpenWord(['invalid_request_error', 'requests', 'insufficient_quota', 'server_error'], {
      description: '`invalid_request_error`, `requests`, `insufficient_quota` or `server_error`.'
    }),
    param: Type.Union([Type.String(), Type.Null()], { description: 'The member of the request that does not fit, such as `messages[0].content`.' }),
    code: OrNull(OpenWord([...codes, ...errorCodes], {
      description: 'The kind of failure for programs: `invalid_api_key`, `rate_limit_exceeded`, `insufficient_quota`, `model_not_found`, or a code as in `Problem`.'
    }))
  }, { description: 'What went wrong.' })
}, {
  $id: 'OpenAiError',
  description: 'What went wrong, as OpenAI tells it. `x-should-retry` says whether the same request may succeed later.',
  examples: [{ error: { message: 'No configuration has this id or name.', type: 'invalid_request_error', param: 'model', code: 'model_not_found' } }]
})
export type OpenAiError = Static<typeof OpenAiError>
