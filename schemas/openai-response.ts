import { botMessageId, sessionId, userMessageId } from './examples.ts'
import { Any, JsonSchemaFormat, Maybe, sampling } from './openai-chat.ts'
import { Metadata, StoredMetadata } from './text.ts'
import { OneOf, OpenWord, Ref, Type, closed, type Static } from './type.ts'

const tokens = (description: string) => Type.Integer({ minimum: 0, description })
const orNull = (description: string) => Type.Union([Type.String(), Type.Null()], { description })
const numberOrNull = (description: string) => Type.Union([Type.Integer(), Type.Null()], { description })

export const ResponseHeaders = Type.Object({
  'idempotency-key': Type.Optional(Type.String({
    pattern: '^[\\x21-\\x7e]{1,255}$', description: 'Makes a response that is stored safe to ask for again. With `store: false` ignored.', examples: ['order-17-question-1']
  }))
})

/** Open, as OpenAI's are: its clients send members that mean nothing here. */
export const ResponseInput = Type.Object({
  model: Type.String({ minLength: 1, maxLength: 200, description: 'A configuration, by its id or its name.' }),
  input: Any('What the user says: a text, or an array of messages `{ role, content }` that ends with one of the user. Other kinds of items are refused.'),
  instructions: Maybe(Type.String({ description: 'What the model is told behind the system text of the configuration, for this response alone.' })),
  previous_response_id: Maybe(Type.String({ maxLength: 100, description: 'The response to go on from. From an older one than the last of its session, a branch is begun.' })),
  store: Maybe(Type.Boolean({ description: 'False: nothing is stored, and the response cannot be read again. Default: true, it is kept in a session.' })),
  stream: Maybe(Type.Boolean({ description: 'Whether the response comes as events, as it is written.' })),
  background: Maybe(Type.Boolean({ description: 'True: answers as soon as the response has begun. Not with `store: false`.' })),
  ...sampling,
  max_output_tokens: Maybe(Type.Integer({ minimum: 1, maximum: 1_000_000, description: 'The longest response, in tokens; never more than the configuration says.' })),
  text: Maybe(Type.Object({
    format: Maybe(Type.Object({
      type: Type.String({ description: '`text`, `json_object` or `json_schema`.' }),
      ...JsonSchemaFormat.properties
    }, { description: 'The form of the response.' }))
  }, { description: 'How the text is to be.' })),
  metadata: Maybe(Metadata),
  user: Maybe(Type.String({
    maxLength: 200, description: 'The end user of a new session. Looked at only with the scope `sessions:write` and where the credential names nobody.'
  })),
  tools: Type.Optional(Any('Tools are not supported: none, or an empty array.')),
  conversation: Type.Optional(Any('Not supported: `previous_response_id` is.'))
}, {
  $id: 'ResponseInput',
  additionalProperties: true,
  description: 'What a response is to be given to. Members of OpenAI\'s that are not named here are ignored.',
  examples: [{ model: 'Shop assistant', input: 'When will my order arrive?' }]
})
export type ResponseInput = Static<typeof ResponseInput>

const id = `resp_${sessionId}${botMessageId}`
const part = { type: 'output_text', text: 'Orders ship within two days.', annotations: [], logprobs: [] }
const item = { id: `msg_${botMessageId}`, type: 'message', status: 'completed', role: 'assistant', content: [part] }
const inputItem = {
  id: `msg_${userMessageId}`, type: 'message', status: 'completed', role: 'user', content: [{ type: 'input_text', text: 'When will my order ship?' }]
}

const Part = Type.Object({
  type: OpenWord(['output_text', 'input_text'], { description: '`output_text`, or `input_text` in a message of the input.' }),
  text: Type.String({ description: 'The text.' }),
  annotations: Type.Optional(Any('Always an empty array.')),
  logprobs: Type.Optional(Any('Always an empty array.'))
}, { $id: 'ResponsePart', description: 'A part of a message.', examples: [part] })

export const ResponseItem = Type.Object({
  id: Type.String({ description: 'Names the message.' }),
  type: Type.Literal('message', { description: 'What this is.' }),
  status: OpenWord(['in_progress', 'completed', 'incomplete'], { description: '`in_progress`, `completed` or `incomplete`.' }),
  role: OpenWord(['assistant', 'user', 'system'], { description: '`assistant`, or, in an input, `user`, `system` or `assistant`.' }),
  content: Type.Array(Ref(Part), { description: 'Its one part.' })
}, { $id: 'ResponseItem', description: 'A message of a response, or of its input.', examples: [item] })
export type ResponseItem = Static<typeof ResponseItem>

/** What the specification has and nobody can ask for here. */
export const sameForAll = {
  truncation: 'auto',
  tools: [],
  tool_choice: 'none',
  parallel_tool_calls: false,
  max_tool_calls: null,
  presence_penalty: 0,
  frequency_penalty: 0,
  top_logprobs: 0,
  reasoning: null,
  service_tier: 'default',
  safety_identifier: null,
  prompt_cache_key: null
}

const response = {
  id,
  object: 'response',
  created_at: 1_772_443_798,
  completed_at: 1_772_443_800,
  status: 'completed',
  error: null,
  incomplete_details: null,
  model: 'Shop assistant',
  output: [item],
  usage: {
    input_tokens: 96,
    input_tokens_details: { cached_tokens: 0 },
    output_tokens: 8,
    output_tokens_details: { reasoning_tokens: 0 },
    total_tokens: 104
  },
  previous_response_id: null,
  instructions: null,
  metadata: {},
  user: null,
  store: true,
  background: false,
  max_output_tokens: null,
  temperature: 0.3,
  top_p: 1,
  text: { format: { type: 'text' } },
  ...sameForAll
}

export const OpenAiResponse = Type.Object({
  id: Type.String({ description: '`resp_` and the ids of the session and the message that it is kept in.' }),
  object: Type.Literal('response', { description: 'What this is.' }),
  created_at: Type.Integer({ description: 'When it began, in seconds since 1970.' }),
  completed_at: numberOrNull('When it ended, in seconds since 1970.'),
  status: OpenWord(['in_progress', 'completed', 'incomplete', 'cancelled', 'failed'], {
    description: '`in_progress`, `completed`, `incomplete`, `cancelled` or `failed`.'
  }),
  error: Type.Union([Type.Object({
    code: OpenWord(['server_error', 'rate_limit_exceeded'], { description: '`server_error` or `rate_limit_exceeded`.' }),
    message: Type.String({ description: 'What happened.' })
  }), Type.Null()], { description: 'Why it has failed.' }),
  incomplete_details: Type.Union([Type.Object({
    reason: OpenWord(['max_output_tokens'], { description: '`max_output_tokens`.' })
  }), Type.Null()], { description: 'Why it is incomplete.' }),
  model: Type.String({ description: 'The configuration, as it was named.' }),
  output: Type.Array(Ref(ResponseItem), { description: 'The one message, or none where there is no text.' }),
  usage: Type.Union([Type.Object({
    input_tokens: tokens('Tokens of the prompt, cached ones included.'),
    input_tokens_details: Type.Object({ cached_tokens: tokens('Tokens that the model had in its cache.') }, { description: 'Of the prompt.' }),
    output_tokens: tokens('Tokens of the text.'),
    output_tokens_details: Type.Object({ reasoning_tokens: tokens('Always 0.') }, { description: 'Of the text.' }),
    total_tokens: tokens('The sum of both.')
  }), Type.Null()], { description: 'What the model was given and has written; null while it writes.' }),
  previous_response_id: orNull('The response that it goes on from.'),
  instructions: orNull('As given.'),
  metadata: StoredMetadata,
  user: orNull('As given.'),
  store: Type.Boolean({ description: 'Whether it is kept.' }),
  background: Type.Boolean({ description: 'As given.' }),
  max_output_tokens: numberOrNull('As given.'),
  temperature: Type.Number({ description: 'As given, or that of the configuration.' }),
  top_p: Type.Number({ description: 'As given.' }),
  text: Type.Object({ format: Any('As given: an object with a `type`.') }, { description: 'How the text is.' }),
  truncation: Type.String({ description: '`auto`: the oldest messages are left out where the model has no room for them.' }),
  tools: Any('Always an empty array.'),
  tool_choice: Type.String({ description: 'Always `none`.' }),
  parallel_tool_calls: Type.Boolean({ description: 'Always false.' }),
  max_tool_calls: Any('Always null.'),
  presence_penalty: Type.Number({ description: 'Always 0.' }),
  frequency_penalty: Type.Number({ description: 'Always 0.' }),
  top_logprobs: Type.Integer({ description: 'Always 0.' }),
  reasoning: Any('Always null.'),
  service_tier: Type.String({ description: 'Always `default`.' }),
  safety_identifier: Any('Always null.'),
  prompt_cache_key: Any('Always null.')
}, { $id: 'OpenAiResponse', description: 'A reply, as Open Responses tells of it.', examples: [response] })
export type OpenAiResponse = Static<typeof OpenAiResponse>

const eventTypes = [
  'response.created', 'response.in_progress', 'response.output_item.added', 'response.content_part.added', 'response.output_text.delta',
  'response.output_text.done', 'response.content_part.done', 'response.output_item.done', 'response.completed', 'response.incomplete',
  'response.failed', 'error'
]

export const ResponseEvent = Type.Object({
  type: OpenWord(eventTypes, {
    description: '`response.created`, `response.in_progress`, `response.output_item.added`, `response.content_part.added`, `response.output_text.delta`, ' +
      '`response.output_text.done`, `response.content_part.done`, `response.output_item.done`, then one of `response.completed`, `response.incomplete` and ' +
      '`response.failed`; or `error`.'
  }),
  sequence_number: Type.Integer({ minimum: 0, description: '0, 1, 2, …: the same for the same event whenever and wherever it is read.' }),
  response: Type.Optional(Ref(OpenAiResponse)),
  output_index: Type.Optional(Type.Integer({ description: 'Always 0.' })),
  content_index: Type.Optional(Type.Integer({ description: 'Always 0.' })),
  item_id: Type.Optional(Type.String({ description: 'The message that grows.' })),
  item: Type.Optional(Ref(ResponseItem)),
  part: Type.Optional(Ref(Part)),
  delta: Type.Optional(Type.String({ description: 'The next piece of the text.' })),
  text: Type.Optional(Type.String({ description: 'The whole text.' })),
  logprobs: Type.Optional(Any('Always an empty array.')),
  code: Type.Optional(Type.String({ description: 'Of an `error`: a code as in `OpenAiError`.' })),
  message: Type.Optional(Type.String({ description: 'Of an `error`: what happened.' })),
  param: Type.Optional(Any('Of an `error`: always null.'))
}, {
  $id: 'ResponseEvent',
  description: 'Something that has become of a response. Behind the last event comes `data: [DONE]`.',
  examples: [
    { type: 'response.output_text.delta', sequence_number: 4, output_index: 0, content_index: 0, item_id: item.id, delta: 'Orders ship', logprobs: [] },
    { type: 'response.completed', sequence_number: 9, response }
  ]
})

export const ResponsePart = Part

export const ResponseInputItems = Type.Object({
  object: Type.Literal('list', { description: 'What this is.' }),
  data: Type.Array(Ref(ResponseItem), { description: 'What was given with the request, the newest first unless `order` says otherwise.' }),
  first_id: orNull('The first one.'),
  last_id: orNull('The last one.'),
  has_more: Type.Boolean({ description: 'Whether there are more behind the last one.' })
}, {
  $id: 'ResponseInputItems',
  description: 'What a response was given to.',
  examples: [{ object: 'list', data: [inputItem], first_id: inputItem.id, last_id: inputItem.id, has_more: false }]
})
export type ResponseInputItems = Static<typeof ResponseInputItems>

export const DeletedResponse = Type.Object({
  id: Type.String({ description: 'Of the response.' }),
  object: Type.Literal('response', { description: 'What this is.' }),
  deleted: Type.Literal(true, { description: 'That it is gone.' })
}, { $id: 'DeletedResponse', description: 'A response that is gone.', examples: [{ id, object: 'response', deleted: true }] })
export type DeletedResponse = Static<typeof DeletedResponse>

export const ResponseQuery = Type.Object({
  stream: Type.Optional(Type.Boolean({ description: 'Whether the response comes as events, live while it is written.' })),
  starting_after: Type.Optional(Type.Integer({ minimum: 0, maximum: 2 ** 31 - 1, description: 'With `stream`: only the events behind the one of this `sequence_number`.' })),
  include_obfuscation: Type.Optional(Type.Boolean({ description: 'Ignored: nothing is obfuscated.' }))
}, closed)
export type ResponseQuery = Static<typeof ResponseQuery>

export const InputItemsQuery = Type.Object({
  limit: Type.Integer({ minimum: 1, maximum: 100, default: 20, description: 'How many at most.' }),
  order: OneOf(['asc', 'desc'], { default: 'desc', description: 'The oldest or the newest first.' }),
  after: Type.Optional(Type.String({ pattern: '^msg_[0-9a-f]{24}(_[0-9]+)?$', description: 'Only those behind the one of this id.' }))
}, closed)
export type InputItemsQuery = Static<typeof InputItemsQuery>
