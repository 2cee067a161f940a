import { type TSchema } from '@sinclair/typebox'
import t from 'tap'
import {
  AgentsCompletionRequest, ChatCompletionRequest, FimCompletionRequest
} from '../../src/mistral-sim/schemas/chat.ts'
import { ChatModerationRequest } from '../../src/mistral-sim/schemas/chat-moderation.ts'
import { ConversationRequest } from '../../src/mistral-sim/schemas/conversations.ts'
import { EmbeddingRequest, ModerationRequest } from '../../src/mistral-sim/schemas/embeddings.ts'
import { validator } from '../../src/mistral-sim/validation/validator.ts'
import { type Correction, type Document, type Node, publishedDocument, schemasOf } from './published-document.ts'
import { AGENT, CASES, type Cases, CHAT } from './request-cases.ts'
import { ask, eventsIn, post, simFor } from './support.ts'

/** Where the published document is wrong about the API, and why we say so. */
const OVERLAY: Correction[] = [
  {
    reason: 'A union with a discriminator needs it: the document gives the tags defaults and requires none of them, ' +
      'so that it takes a message without role wherever only one branch happens to fit.',
    apply: ({ components }) => walk(components.schemas, (node) => {
      const { propertyName } = (node.discriminator ?? {}) as { propertyName?: string }
      if (propertyName !== undefined && 'oneOf' in node) node.required = [propertyName]
    }),
    schema: 'ChatCompletionRequest',
    takenByMistake: { ...CHAT, messages: [{ content: 'result', tool_call_id: 'abcdefghi' }] }
  },
  {
    reason: 'The document requires `data` of a chat reply, which has none.',
    apply: ({ components }) => walk(components.schemas.ChatCompletionResponse, (node) => {
      if (Array.isArray(node.required)) node.required = node.required.filter((name) => name !== 'data')
    }),
    schema: 'ChatCompletionResponse',
    refusedByMistake: {
      id: 'a',
      object: 'chat.completion',
      created: 1,
      model: 'm',
      usage: { prompt_tokens: 1, completion_tokens: 1, total_tokens: 2 },
      choices: [{ index: 0, finish_reason: 'stop', message: { role: 'assistant', content: 'hi', tool_calls: null } }]
    }
  },
  {
    reason: 'The document forbids the number of cached tokens, which replies have.',
    apply: ({ components }) => Object.assign(components.schemas.UsageInfo?.properties ?? {}, {
      prompt_tokens_details: { type: 'object' }
    }),
    schema: 'UsageInfo',
    refusedByMistake: {
      prompt_tokens: 1, completion_tokens: 1, total_tokens: 2, prompt_tokens_details: { cached_tokens: 0 }
    }
  }
]

function walk (node: unknown, visit: (node: Node) => void): void {
  if (typeof node !== 'object' || node === null) return
  if (!Array.isArray(node)) visit(node as Node)
  for (const inner of Object.values(node)) walk(inner, visit)
}

const OURS: Record<string, TSchema> = {
  ChatCompletionRequest,
  AgentsCompletionRequest,
  FIMCompletionRequest: FimCompletionRequest,
  EmbeddingRequest,
  ClassificationRequest: ModerationRequest,
  ChatModerationRequest
}

/** Every path of property names below a schema; the branches of a union are named by their role or type. */
function propertyPaths (node: unknown, document: Document | null, path = '', found = new Set<string>()): Set<string> {
  const { anyOf, oneOf, allOf, items, properties } = resolved(node, document)
  for (const part of lists(allOf)) propertyPaths(part, document, path, found)
  for (const branch of lists(anyOf, oneOf)) propertyPaths(branch, document, path + label(branch, document), found)
  if (items !== undefined) propertyPaths(items, document, `${path}[]`, found)
  for (const [name, property] of Object.entries((properties ?? {}) as Node)) {
    found.add(`${path}.${name}`)
    propertyPaths(property, document, `${path}.${name}`, found)
  }
  return found
}

const lists = (...values: unknown[]): unknown[] =>
  values.flatMap((value) => Array.isArray(value) ? value as unknown[] : [])

function resolved (node: unknown, document: Document | null): Node {
  const { $ref: ref } = node as Node
  if (typeof ref !== 'string') return node as Node
  return document?.components.schemas[ref.split('/').at(-1) ?? ''] ?? {}
}

function label (branch: unknown, document: Document | null): string {
  const { role, type } = (resolved(branch, document).properties ?? {}) as Node
  const { const: literal, enum: values } = resolved(role ?? type ?? {}, document)
  const [tag = literal] = lists(values)
  return typeof tag === 'string' ? `(${tag})` : ''
}

const sorted = (paths: Iterable<string>): string[] => [...paths].sort()
const topLevel = (paths: Set<string>): string[] => sorted(paths).filter((path) => /^\.\w+$/.test(path))

t.test('our schemas give the verdicts of the table', async (t) => {
  for (const [name, cases] of Object.entries<Cases>(CASES)) {
    const schema = OURS[name]
    t.ok(schema, name)
    const problemsOf = validator(schema ?? ChatCompletionRequest)
    cases.valid.forEach((body) => t.same(problemsOf(body), [], `${name} takes ${JSON.stringify(body).slice(0, 200)}`))
    cases.invalid.forEach((body) =>
      t.not(problemsOf(body).length, 0, `${name} refuses ${JSON.stringify(body).slice(0, 200)}`))
  }
})

t.test('an agent request is a chat request by another name', async (t) => {
  t.same(validator(AgentsCompletionRequest)(AGENT), [])
  t.not(validator(AgentsCompletionRequest)({ ...AGENT, model: 'x' }).length, 0)
})

const published = publishedDocument()
if (published === undefined) {
  t.test('the published document', { skip: 'shared/mistral/openapi.yaml is not here' }, async () => undefined)
} else {
  const corrected = structuredClone(published)
  OVERLAY.forEach(({ apply }) => apply(corrected))
  const asPublished = schemasOf(published)
  const validateAs = schemasOf(corrected)

  t.test('the published document gives every case the same verdict', async (t) => {
    for (const [name, cases] of Object.entries<Cases>(CASES)) {
      const validate = validateAs(name)
      cases.valid.forEach((body) => t.ok(validate(body), `${name} takes ${JSON.stringify(body).slice(0, 200)}`))
      cases.invalid.forEach((body) => t.notOk(validate(body), `${name} refuses ${JSON.stringify(body).slice(0, 200)}`))
    }
  })

  t.test('every correction of the document is still needed', async (t) => {
    for (const { reason, schema, takenByMistake, refusedByMistake } of OVERLAY) {
      const body = takenByMistake ?? refusedByMistake
      t.equal(asPublished(schema)(body), body === takenByMistake, reason)
      t.equal(validateAs(schema)(body), body === refusedByMistake, reason)
    }
  })

  t.test('the names of all properties are those of the document', async (t) => {
    for (const [name, schema] of Object.entries(OURS)) {
      const theirs = propertyPaths(published.components.schemas[name], published)
      t.same(sorted(propertyPaths(schema, null)), sorted(theirs), name)
    }
    const conversation = propertyPaths(published.components.schemas.ConversationRequest, published)
    t.same(topLevel(propertyPaths(ConversationRequest, null)), topLevel(conversation), 'ConversationRequest')
  })

  t.test('every path and method of the document is there, or is not part of the simulator', async (t) => {
    const sim = await simFor(t)
    const operations = Object.entries(published.paths).flatMap(([template, methods]) =>
      ['get', 'post', 'put', 'patch', 'delete'].filter((method) => method in methods).map((method) => ({ template, method })))
    const replies = await Promise.all(operations.map(async ({ template, method }) => {
      const path = template.replace(/#.*$/, '').replaceAll(/\{\w+\}/g, 'mistral-embed')
      return { template, method, ...await ask(sim, method.toUpperCase(), path) }
    }))
    for (const { template, method, status } of replies) {
      t.ok([200, 422, 501].includes(status), `${method} ${template}: ${status}`)
    }
    t.equal(replies.filter(({ status }) => status !== 501).length, 10)
  })

  t.test('replies fit the document', async (t) => {
    const sim = await simFor(t)
    const fits = (schema: string, json: unknown): void => {
      const validate = validateAs(schema)
      t.ok(validate(json), `${schema} ${JSON.stringify(validate.errors ?? '').slice(0, 300)}`)
    }
    const tools = [{ type: 'function', function: { name: 'f', parameters: {} } }]
    const replies: Array<[string, string, object]> = [
      ['/v1/chat/completions', 'ChatCompletionResponse', CHAT],
      ['/v1/chat/completions', 'ChatCompletionResponse', { ...CHAT, prompt_cache_key: 'k', service_tier: 'auto' }],
      ['/v1/chat/completions', 'ChatCompletionResponse', { ...CHAT, tools, tool_choice: 'any' }],
      ['/v1/chat/completions', 'ChatCompletionResponse', { ...CHAT, reasoning_effort: 'high' }],
      ['/v1/agents/completions', 'ChatCompletionResponse', AGENT],
      ['/v1/fim/completions', 'FIMCompletionResponse', { model: 'codestral-latest', prompt: 'a' }],
      ['/v1/embeddings', 'EmbeddingResponse', { model: 'mistral-embed', input: ['a', 'b'] }],
      ['/v1/moderations', 'ModerationResponse', { model: 'mistral-moderation-latest', input: 'a' }],
      ['/v1/chat/moderations', 'ModerationResponse', { model: 'mistral-moderation-latest', input: CHAT.messages }],
      ['/v1/conversations', 'ConversationResponse', { inputs: 'a' }]
    ]
    for (const [path, schema, body] of replies) fits(schema, (await post(sim, path, body)).json)
    fits('ModelList', (await ask(sim, 'GET', '/v1/models')).json)
    fits('BaseModelCard', (await ask(sim, 'GET', '/v1/models/mistral-embed')).json)
    for (const more of [{}, { tools, tool_choice: 'any' }, { reasoning_effort: 'high' }, { max_tokens: 1 }]) {
      const { text } = await post(sim, '/v1/chat/completions', { ...CHAT, ...more, stream: true })
      for (const chunk of eventsIn(text).slice(0, -1)) fits('CompletionChunk', chunk)
    }
  })
}
