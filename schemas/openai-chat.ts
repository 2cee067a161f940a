import { OpenWord, OrNull, Type, type Static, type TSchema } from './type.ts'

/** A member that may be left out or be null, which means the same. */
export const Maybe = <T extends TSchema>(schema: T) => Type.Optional(OrNull(schema))

const tokens = (description: string) => Type.Integer({ minimum: 0, description })

/** What may be of several types is left open here, because generators of clients fail at it; the core looks at it. */
export const Any = (description: string) => Type.Unsafe<unknown>({ description })

/** How the text is chosen. */
export const sampling = {
  temperature: Maybe(Type.Number({ minimum: 0, maximum: 1.5, description: 'From 0, the likeliest words, to 1.5. Absent: that of the configuration.' })),
  top_p: Maybe(Type.Number({ exclusiveMinimum: 0, maximum: 1, description: 'The share of the likeliest words that is chosen from.' }))
}

export const JsonSchemaFormat = Type.Object({
  name: Type.Optional(Type.String({ pattern: '^[A-Za-z0-9_-]{1,64}$', description: 'Letters, digits, `_` and `-`.' })),
  schema: Type.Optional(Type.Object({}, { additionalProperties: true, description: 'JSON Schema.' }))
}, { description: 'What the answer is to fit.' })

/** Open, as OpenAI's are: its clients send members that mean nothing here. */
export const ChatCompletionInput = Type.Object({
  model: Type.String({ minLength: 1, maxLength: 200, description: 'A configuration, by its id or its name.' }),
  messages: Type.Array(Type.Object({
    role: Type.String({ description: '`system` or `developer`, `user`, `assistant`. Others are refused.' }),
    content: Type.Optional(Any('The text, or an array of parts `{ type: "text", text }`. Other kinds of parts are refused.'))
  }), {
    minItems: 1, maxItems: 2000, description: 'The conversation, the oldest message first; the last one is the user\'s. It comes behind the system text of the configuration.'
  }),
  stream: Maybe(Type.Boolean({ description: 'Whether the answer comes as events, as it is written.' })),
  stream_options: Maybe(Type.Object({
    include_usage: Maybe(Type.Boolean({ description: 'Whether a last event tells the usage.' }))
  }, { description: 'What else a stream tells.' })),
  ...sampling,
  max_tokens: Maybe(Type.Integer({ minimum: 1, maximum: 1_000_000, description: 'The longest reply, in tokens; never more than the configuration says.' })),
  max_completion_tokens: Maybe(Type.Integer({ minimum: 1, maximum: 1_000_000, description: 'The same as `max_tokens`, and comes before it.' })),
  stop: Type.Optional(Any('A text that ends the reply, or an array of up to 16 of them.')),
  seed: Maybe(Type.Integer({ minimum: 0, description: 'The same seed gives the same reply, as far as the model can.' })),
  presence_penalty: Maybe(Type.Number({ minimum: -2, maximum: 2, description: 'Above 0: words that were used are less likely.' })),
  frequency_penalty: Maybe(Type.Number({ minimum: -2, maximum: 2, description: 'Above 0: words that were used often are less likely.' })),
  n: Maybe(Type.Integer({ description: 'How many replies: 1.' })),
  response_format: Maybe(Type.Object({
    type: Type.String({ description: '`text`, `json_object` or `json_schema`.' }),
    json_schema: Maybe(JsonSchemaFormat)
  }, { description: 'The form of the reply.' })),
  tools: Type.Optional(Any('Tools are not supported: none, or an empty array.')),
  user: Maybe(Type.String({ description: 'Taken and not used: whose request it is, the credential says.' }))
}, {
  $id: 'ChatCompletionInput',
  additionalProperties: true,
  description: 'A conversation that is to go on. Members of OpenAI\'s that are not named here are ignored.',
  examples: [{ model: 'Shop assistant', messages: [{ role: 'user', content: 'When will my order arrive?' }] }]
})
export type ChatCompletionInput = Static<typeof ChatCompletionInput>

export const CompletionUsage = Type.Object({
  prompt_tokens: tokens('Tokens of the prompt, cached ones included.'),
  completion_tokens: tokens('Tokens of the reply.'),
  total_tokens: tokens('The sum of both.'),
  prompt_tokens_details: Type.Object({
    cached_tokens: tokens('Tokens that the model had in its cache.')
  }, { description: 'Of the prompt.' })
}, { description: 'What the model was given and has written.' })

const about = {
  id: Type.String({ description: 'Names the answer.' }),
  created: Type.Integer({ description: 'When it began, in seconds since 1970.' }),
  model: Type.String({ description: 'The configuration, as it was named.' }),
  system_fingerprint: Type.Union([Type.String(), Type.Null()], { description: 'The model that wrote it, as it names itself; null while it is being written.' })
}
const index = Type.Integer({ description: 'Always 0.' })
const finishReason = OpenWord(['stop', 'length'], { description: 'Why the model ended: `stop`, `length`, …' })

const told = { id: 'chatcmpl-6650a1f2c3d4e5f60123456a', created: 1_772_443_800, model: 'Shop assistant', system_fingerprint: 'mistral-small-latest' }
const usage = { prompt_tokens: 96, completion_tokens: 8, total_tokens: 104, prompt_tokens_details: { cached_tokens: 0 } }

export const ChatCompletion = Type.Object({
  ...about,
  object: Type.Literal('chat.completion', { description: 'What this is.' }),
  choices: Type.Array(Type.Object({
    index,
    message: Type.Object({
      role: Type.Literal('assistant', { description: 'Who says it.' }),
      content: Type.String({ description: 'The reply.' }),
      refusal: Any('Always null.')
    }, { description: 'The reply.' }),
    logprobs: Any('Always null.'),
    finish_reason: finishReason
  }), { description: 'The one reply.' }),
  usage: CompletionUsage
}, {
  $id: 'ChatCompletion',
  description: 'A reply.',
  examples: [{
    ...told,
    object: 'chat.completion',
    choices: [{
      index: 0, message: { role: 'assistant', content: 'Orders ship within two days.', refusal: null }, logprobs: null, finish_reason: 'stop'
    }],
    usage
  }]
})
export type ChatCompletion = Static<typeof ChatCompletion>

export const ChatCompletionChunk = Type.Object({
  ...about,
  object: Type.Literal('chat.completion.chunk', { description: 'What this is.' }),
  choices: Type.Array(Type.Object({
    index,
    delta: Type.Object({
      role: Type.Optional(Type.Literal('assistant', { description: 'Who says it, in the first event.' })),
      content: Type.Optional(Type.String({ description: 'The next piece of the reply.' }))
    }, { description: 'What is new.' }),
    logprobs: Any('Always null.'),
    finish_reason: OrNull(finishReason, 'Why the model ended: `stop`, `length`, … Open to growth. Null: it goes on.')
  }), { description: 'None in the event that tells the usage.' }),
  usage: Type.Optional(Type.Union([CompletionUsage, Type.Null()], { description: 'With `include_usage`: null, and in the last event the usage.' }))
}, {
  $id: 'ChatCompletionChunk',
  description: 'An event of a reply that is being written. Behind the last one comes `data: [DONE]`; a failure on the way is an event with `error`.',
  examples: [
    { ...told, system_fingerprint: null, object: 'chat.completion.chunk', choices: [{ index: 0, delta: { content: 'Orders ship' }, logprobs: null, finish_reason: null }] },
    { ...told, object: 'chat.completion.chunk', choices: [{ index: 0, delta: {}, logprobs: null, finish_reason: 'stop' }] }
  ]
})
export type ChatCompletionChunk = Static<typeof ChatCompletionChunk>

export const ChatCompletionHeaders = Type.Object({
  'x-session-id': Type.Optional(Type.String({
    pattern: '^[0-9a-f]{24}$',
    description: 'A session of the configuration: the last message of the user is sent there, stored as any other, and what came before is read from there.'
  })),
  'idempotency-key': Type.Optional(Type.String({
    pattern: '^[\\x21-\\x7e]{1,255}$', description: 'With `x-session-id`: makes the send safe to repeat. Else ignored.'
  }))
})
