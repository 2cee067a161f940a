import { existsSync, readFileSync } from 'node:fs'
import { type TSchema } from '@sinclair/typebox'
import { type ValidateFunction } from 'ajv'
import { Ajv2020 } from 'ajv/dist/2020.js'
import addFormats from 'ajv-formats'
import t from 'tap'
import { parse } from 'yaml'
import {
  AgentsCompletionRequest, ChatCompletionRequest, FimCompletionRequest
} from '../../src/mistral-sim/schemas/chat.ts'
import { ChatModerationRequest } from '../../src/mistral-sim/schemas/chat-moderation.ts'
import { ConversationRequest } from '../../src/mistral-sim/schemas/conversations.ts'
import { EmbeddingRequest, ModerationRequest } from '../../src/mistral-sim/schemas/embeddings.ts'
import { validator } from '../../src/mistral-sim/validation/validator.ts'
import { AGENT, CASES, type Cases, CHAT } from './request-cases.ts'

const FILE = new URL('../../../shared/mistral/openapi.yaml', import.meta.url)

type Node = Record<string, unknown>
interface Document { components: { schemas: Record<string, Node> } }

const OURS: Record<string, TSchema> = {
  ChatCompletionRequest,
  AgentsCompletionRequest,
  FIMCompletionRequest: FimCompletionRequest,
  EmbeddingRequest,
  ClassificationRequest: ModerationRequest,
  ChatModerationRequest
}

interface Correction {
  reason: string
  apply: (document: Document) => void
  /** A body that the document takes and must not. */
  proof: { schema: string, body: object }
}

/** Where the published document is wrong about the API, and why we say so. */
const OVERLAY: Correction[] = [
  {
    reason: 'A union with a discriminator needs it: the document gives the tags defaults and requires none of them, ' +
      'so that it takes a message without role wherever only one branch happens to fit.',
    apply: (document) => walk(document, (node) => {
      const { propertyName } = (node.discriminator ?? {}) as { propertyName?: string }
      if (propertyName !== undefined && 'oneOf' in node) node.required = [propertyName]
    }),
    proof: {
      schema: 'ChatCompletionRequest',
      body: { ...CHAT, messages: [{ content: 'result', tool_call_id: 'abcdefghi' }] }
    }
  }
]

function walk (node: unknown, visit: (node: Node) => void): void {
  if (typeof node !== 'object' || node === null) return
  if (!Array.isArray(node)) visit(node as Node)
  for (const inner of Object.values(node)) walk(inner, visit)
}

function compile (document: Document): (name: string) => ValidateFunction {
  const ajv = new Ajv2020({ strict: false, discriminator: false, logger: false })
  addFormats.default(ajv)
  ajv.addSchema(document, 'document')
  return (name) => {
    const validate = ajv.getSchema(`document#/components/schemas/${name}`)
    if (validate === undefined) throw new Error(`the document has no ${name}`)
    return validate
  }
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

if (!existsSync(FILE)) {
  t.test('the published document', { skip: 'shared/mistral/openapi.yaml is not here' }, async () => undefined)
} else {
  const text = readFileSync(FILE, 'utf8')
  const published = parse(text) as Document
  const corrected = structuredClone(published)
  OVERLAY.forEach(({ apply }) => apply(corrected))
  const asPublished = compile(published)
  const validateAs = compile(corrected)

  t.test('the published document gives every case the same verdict', async (t) => {
    for (const [name, cases] of Object.entries<Cases>(CASES)) {
      const validate = validateAs(name)
      cases.valid.forEach((body) => t.ok(validate(body), `${name} takes ${JSON.stringify(body).slice(0, 200)}`))
      cases.invalid.forEach((body) => t.notOk(validate(body), `${name} refuses ${JSON.stringify(body).slice(0, 200)}`))
    }
  })

  t.test('every correction of the document is still needed', async (t) => {
    for (const { reason, proof } of OVERLAY) {
      t.ok(asPublished(proof.schema)(proof.body), reason)
      t.notOk(validateAs(proof.schema)(proof.body), reason)
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
}
