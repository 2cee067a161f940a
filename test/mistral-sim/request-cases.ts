/** Bodies that a request schema must take and must refuse. */
export interface Cases {
  valid: object[]
  invalid: unknown[]
}

const user = { role: 'user', content: 'hi' }
const messages = [user]

/** The smallest chat request. */
export const CHAT = { model: 'mistral-small-latest', messages }
/** The smallest request to an agent. */
export const AGENT = { agent_id: 'ag_1', messages }

const chat = (more: object): object => ({ ...CHAT, ...more })
const says = (...list: unknown[]): object => chat({ messages: list })
const content = (...chunks: unknown[]): object => says({ role: 'user', content: chunks })
const tools = (...list: unknown[]): object => chat({ tools: list })
const call = { id: 'abcdefghi', type: 'function', function: { name: 'f', arguments: '{}' }, index: 0 }
const parameters = { type: 'object', properties: {} }
const uuid = '0b1f9a52-3d3d-4d6c-8a2e-0d6f4d1b7c11'

const chatCases: Cases = {
  valid: [
    CHAT,
    says(),
    chat({ temperature: 0, top_p: 1, max_tokens: 0, stream: true, stop: 'x', random_seed: 0 }),
    chat({ temperature: 1.5, top_p: 0.01, stop: ['a', 'b'], n: 1, presence_penalty: -2, frequency_penalty: 2 }),
    chat({ temperature: null, top_p: null, max_tokens: null, stop: null, random_seed: null, metadata: null, n: null }),
    chat({ tools: null, reasoning_effort: null, prompt_mode: null, guardrails: null, service_tier: null }),
    chat({ metadata: { any: ['thing', 1] }, prompt_cache_key: 'k', safe_prompt: true, service_tier: 'auto' }),
    chat({ reasoning_effort: 'xhigh', prompt_mode: 'reasoning', parallel_tool_calls: false }),
    chat({ response_format: {} }),
    chat({ response_format: { type: 'json_object' } }),
    chat({ response_format: { type: 'json_schema', json_schema: { name: 'x', schema: {}, strict: true } } }),
    chat({ response_format: { json_schema: null } }),
    chat({ prediction: { type: 'content', content: 'x' } }),
    chat({ prediction: {} }),
    chat({ tool_choice: 'required' }),
    chat({ tool_choice: { function: { name: 'f' } } }),
    chat({ guardrails: [{ block_on_error: true, moderation_llm_v2: { action: 'block' } }] }),
    chat({ guardrails: [{ moderation_llm_v1: { custom_category_thresholds: { pii: 0.2 }, other: 1 }, more: 1 }] }),
    tools({ type: 'function', function: { name: 'f', parameters, description: 'd', strict: true } }),
    tools({ type: 'web_search' }, { type: 'code_interpreter' }, { type: 'image_generation' }),
    tools({ type: 'web_search_premium', tool_configuration: { include: ['a'], exclude: null } }),
    tools({ type: 'document_library', library_ids: ['l'] }),
    tools({ type: 'connector', connector_id: 'c', authorization: { type: 'api-key', value: 'v' } }),
    tools({ type: 'connector', connector_id: 'c', authorization: null }),
    says({ role: 'system', content: [{ type: 'text', text: 'a' }, { type: 'thinking', thinking: [] }] }),
    says({ role: 'user', content: null }),
    says({ role: 'assistant' }),
    says({ role: 'assistant', content: 'x', prefix: true, tool_calls: null }),
    says({ role: 'assistant', content: null, tool_calls: [call] }),
    says({ role: 'assistant', tool_calls: [{ function: { name: 'f', arguments: { a: 1 } } }] }),
    says({ role: 'tool', content: 'x', tool_call_id: 'abcdefghi', name: 'f' }),
    says({ role: 'tool', content: null, tool_call_id: null }),
    content(),
    content({ type: 'text', text: '' }, { type: 'image_url', image_url: 'https://x/y.png' }),
    content({ type: 'image_url', image_url: { url: 'u', detail: 'low' } }),
    content({ type: 'document_url', document_url: 'u', document_name: null }),
    content({ type: 'reference', reference_ids: [1, 'a'] }, { type: 'file', file_id: uuid }),
    content({ type: 'input_audio', input_audio: 'QQ==' }),
    content({ type: 'thinking', thinking: [{ type: 'text', text: 'a' }, { reference_ids: [1] }], closed: false }),
    content({ type: 'thinking', thinking: [{ tool: 'web_search', title: 't', url: null }], signature: 's' })
  ],
  invalid: [
    {}, [], null, 'text', 7,
    { messages }, { model: 'x' },
    chat({ model: null }), chat({ model: 1 }),
    chat({ messages: null }), chat({ messages: 'hi' }), chat({ messages: {} }),
    chat({ store: false }), chat({ seed: 1 }), chat({ max_completion_tokens: 1 }), chat({ user: 'u' }),
    chat({ stream_options: { include_usage: true } }), chat({ logprobs: true }), chat({ $ne: null }),
    chat({ temperature: -0.1 }), chat({ temperature: 1.6 }), chat({ temperature: '1' }),
    chat({ top_p: 0 }), chat({ top_p: 1.01 }),
    chat({ max_tokens: -1 }), chat({ max_tokens: 1.5 }), chat({ max_tokens: '12' }),
    chat({ stream: null }), chat({ stream: 'true' }), chat({ stop: 5 }), chat({ stop: [1] }),
    chat({ random_seed: -1 }), chat({ n: 0 }), chat({ presence_penalty: 2.1 }), chat({ frequency_penalty: -3 }),
    chat({ metadata: [] }), chat({ prompt_cache_key: 1 }), chat({ safe_prompt: null }), chat({ service_tier: 'fast' }),
    chat({ reasoning_effort: 'extreme' }), chat({ prompt_mode: 'other' }), chat({ parallel_tool_calls: null }),
    chat({ response_format: null }), chat({ response_format: { type: 'xml' } }),
    chat({ response_format: { type: 'json_schema', json_schema: { name: 'x' } } }),
    chat({ response_format: { type: 'json_schema', json_schema: { name: 'x', schema: {}, extra: 1 } } }),
    chat({ prediction: null }), chat({ prediction: { type: 'other' } }),
    chat({ tool_choice: null }), chat({ tool_choice: 'f' }), chat({ tool_choice: { type: 'function' } }),
    chat({ guardrails: [{ block_on_error: 'yes' }] }),
    chat({ guardrails: [{ moderation_llm_v2: { action: 'shout' } }] }),
    chat({ guardrails: [{ moderation_llm_v2: { custom_category_thresholds: { pii: 'high' } } }] }),
    tools({}), tools({ type: 'function' }), tools({ type: 'function', function: { name: 'f' } }),
    tools({ type: 'function', function: { name: 'f', parameters: null } }),
    tools({ type: 'function', function: { name: 'f', parameters, extra: 1 } }),
    tools({ function: { name: 'f', parameters } }),
    tools({ type: 'bogus' }), tools({ type: 'document_library', library_ids: [] }), tools({ type: 'connector' }),
    tools({ type: 'connector', connector_id: 'c', authorization: { type: 'basic', value: 'v' } }),
    says({ content: 'x' }), says({ role: 'developer', content: 'x' }), says({ role: null, content: 'x' }), says('hi'),
    says(null), says([user]), says({ role: 'user' }), says({ role: 'system' }), says({ role: 'tool' }),
    says({ role: 'system', content: null }), says({ role: 'user', content: 5 }), says({ ...user, name: 'n' }),
    says({ role: 'assistant', content: 'x', reasoning_content: 'y' }),
    says({ role: 'assistant', content: 'x', name: 'n' }), says({ role: 'system', content: 'x', name: 'n' }),
    says({ role: 'user', content: 'x', tool_call_id: 'abcdefghi' }),
    says({ role: 'assistant', content: 'x', refusal: null }), says({ role: 'assistant', content: 'x', prefix: null }),
    says({ role: 'assistant', tool_calls: [{ id: 'abcdefghi' }] }),
    says({ role: 'assistant', tool_calls: [{ ...call, id: null }] }),
    says({ role: 'assistant', tool_calls: [{ ...call, type: 'other' }] }),
    says({ role: 'system', content: [{ type: 'image_url', image_url: 'u' }] }),
    content({ text: 'x' }), content({ type: 'video' }), content('x'), content({ type: 'text' }),
    content({ type: 'text', text: 'x', cache_control: {} }), content({ type: 'text', text: null }),
    content({ type: 'image_url', image_url: { url: 'u', detail: 'max' } }),
    content({ type: 'file', file_id: 'not-a-uuid' }), content({ type: 'reference', reference_ids: [1.5] }),
    content({ type: 'thinking', thinking: 'text' }), content({ type: 'thinking', thinking: [{ other: 1 }] })
  ]
}

const embed = (more: object): object => ({ model: 'mistral-embed', input: 'a', ...more })
const fill = (more: object): object => ({ model: 'codestral-latest', prompt: 'a', ...more })

/** By the document's name of the schema. */
export const CASES: Record<string, Cases> = {
  ChatCompletionRequest: chatCases,
  AgentsCompletionRequest: {
    valid: [AGENT, { ...AGENT, stream: true, tools: null }],
    invalid: [CHAT, { ...AGENT, temperature: 1 }, { ...AGENT, safe_prompt: true }, { agent_id: 'a' }]
  },
  FIMCompletionRequest: {
    valid: [
      fill({}), fill({ suffix: null, min_tokens: 0, max_tokens: 1, stream: true, stop: ['x'] }),
      fill({ suffix: 'x', temperature: 1, top_p: 1, random_seed: 1, metadata: {}, prompt_cache_key: null })
    ],
    invalid: [
      {}, fill({ prompt: null }), { model: 'x' }, { prompt: 'x' }, fill({ messages }), fill({ min_tokens: -1 }),
      fill({ suffix: 3 }), fill({ n: 1 })
    ]
  },
  EmbeddingRequest: {
    valid: [
      embed({}), embed({ input: [] }), embed({ input: ['a', ''] }), embed({ output_dimension: 1, metadata: null }),
      embed({ output_dimension: null, output_dtype: 'ubinary', encoding_format: 'base64' })
    ],
    invalid: [
      {}, embed({ input: null }), embed({ input: [1] }), embed({ input: [['a']] }), embed({ dimensions: 3 }),
      embed({ user: 'u' }), embed({ output_dimension: 0 }), embed({ output_dtype: 'float16' }),
      embed({ encoding_format: null }), { input: 'a' }, { model: 'x' }, embed({ inputs: 'a' })
    ]
  },
  ClassificationRequest: {
    valid: [{ model: 'm', input: 'a' }, { model: 'm', input: ['a'], metadata: { a: 1 } }],
    invalid: [{}, { model: 'm' }, { input: 'a' }, { model: 'm', input: {} }, { model: 'm', input: 'a', user: 'u' }]
  },
  ChatModerationRequest: {
    valid: [{ model: 'm', input: messages }, { model: 'm', input: [messages, []] }, { model: 'm', input: [] }],
    invalid: [
      { model: 'm', input: 'a' }, { model: 'm', input: [user, messages] }, { model: 'm', input: [[{ role: 'x' }]] },
      { model: 'm', input: messages, metadata: {} }
    ]
  }
}
