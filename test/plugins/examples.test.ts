import { Ajv2020 } from 'ajv/dist/2020.js'
import t from 'tap'
import { errorKinds } from '../../src/errors.ts'
import { startApp } from '../helper.ts'

interface Schema {
  $ref?: string
  description?: string
  examples?: unknown[]
  enum?: unknown[]
  properties?: Record<string, Schema>
  items?: Schema
  anyOf?: Schema[]
  oneOf?: Schema[]
  allOf?: Schema[]
  additionalProperties?: Schema | boolean
  discriminator?: object
  'x-extensible-enum'?: string[]
  'x-event-schemas'?: Record<string, string>
}

interface Body {
  content: Record<string, { schema: Schema }>
}

interface Operation {
  operationId: string
  summary?: string
  description?: string
  requestBody?: Body
  responses: Record<string, Partial<Body>>
  callbacks?: Record<string, Record<string, { post: Operation }>>
}

interface Document {
  paths: Record<string, Record<string, Operation>>
  webhooks: Record<string, Record<string, Operation>>
  components: { schemas: Record<string, Schema> }
}

const within = ({ items, anyOf = [], oneOf = [], allOf = [], properties = {}, additionalProperties }: Schema): Schema[] =>
  [items, ...anyOf, ...oneOf, ...allOf, ...Object.values(properties), additionalProperties].filter((one) => typeof one === 'object')

/** Where a property is not described; what refers to a component is described there. */
function undescribed (schema: Schema, at: string): string[] {
  const properties = Object.entries(schema.properties ?? {})
  return [
    ...properties.filter(([, { description, $ref }]) => !description && !$ref).map(([name]) => `${at}.${name}`),
    ...properties.flatMap(([name, property]) => undescribed(property, `${at}.${name}`)),
    ...within({ ...schema, properties: {} }).flatMap((one) => undescribed(one, at))
  ]
}

t.test('what the document says of its schemas', async (t) => {
  const { client } = await startApp(t)
  const document = (await client.ask<Document>('/openapi.json')).body
  const { schemas } = document.components
  const operations = Object.values({ ...document.paths, ...document.webhooks }).flatMap((path) => Object.values(path))
  const named = ({ $ref }: Schema) => $ref?.split('/').at(-1) ?? ''

  /** The schema and all that it is made of, with the components that it refers to. */
  function reached (schema: Schema, seen = new Set<Schema>()): Set<Schema> {
    const target = schema.$ref ? schemas[named(schema)]! : schema
    if (seen.has(target)) return seen
    seen.add(target)
    for (const one of within(target)) reached(one, seen)
    return seen
  }

  t.test('every component and every property is described, and every component has examples that fit it', async (t) => {
    const ajv = new Ajv2020({ allErrors: true })
    ajv.addVocabulary(['example', 'discriminator', 'x-maxJsonBytes', 'x-event-schemas', 'components', 'paths', 'webhooks', 'info', 'openapi', 'servers', 'tags', 'security'])
    // An example has words of today.
    ajv.addKeyword({ keyword: 'x-extensible-enum', type: 'string', validate: (words: string[], word: string) => words.includes(word) })
    ajv.addFormat('date-time', (text) => new Date(text).toISOString() === text)
    ajv.addFormat('date', /^\d{4}-\d\d-\d\d$/)
    ajv.addFormat('uri-reference', (text) => URL.canParse(text, 'http://server'))
    ajv.addFormat('int64', { type: 'number', validate: Number.isSafeInteger })
    ajv.addSchema(document, 'document')
    for (const [name, schema] of Object.entries(schemas)) {
      t.ok(schema.description, `${name} is described`)
      t.strictSame(undescribed(schema, name), [])
      t.ok(schema.examples?.length, `${name} has an example`)
      const validate = ajv.getSchema(`document#/components/schemas/${name}`)!
      for (const example of schema.examples ?? []) t.ok(validate(example), `${name}: ${ajv.errorsText(validate.errors)}`)
    }
  })

  t.test('every operation is described, and takes bodies of components', async (t) => {
    for (const { operationId, summary, description, requestBody } of operations) {
      t.ok(summary && description, operationId)
      for (const { schema } of Object.values(requestBody?.content ?? {})) t.ok(schemas[named(schema)], operationId)
    }
    t.strictSame(Object.keys(document.paths['/api/configs/{id}']!['patch']!.requestBody!.content).sort(),
      ['application/json', 'application/merge-patch+json'])
  })

  t.test('words in answers that may grow are marked and are no closed enums; those in requests are closed', async (t) => {
    for (const [name, member] of [
      ['Message', 'role'], ['Message', 'status'], ['Message', 'finishReason'], ['Session', 'status'], ['Problem', 'code'], ['Health', 'status']
    ] as const) {
      const { enum: closed, 'x-extensible-enum': words } = schemas[name]!.properties![member]!
      t.ok(words && words.length > 0, `${name}.${member}`)
      t.equal(closed, undefined)
    }
    for (const schema of reached({ anyOf: Object.keys(schemas).map((name) => ({ $ref: `#/${name}` })) })) {
      if (schema['x-extensible-enum']) t.match(schema.description, /open to growth/i, 'it is told to people as well')
    }
    const sent = Object.values(document.paths).flatMap((path) => Object.values(path))
      .flatMap(({ requestBody }) => Object.values(requestBody?.content ?? {}).map(({ schema }) => schema))
    for (const schema of reached({ anyOf: sent })) t.notOk(schema['x-extensible-enum'], String(schema.description))
  })

  t.test('the events of each stream are one component, which tells what each brings', async (t) => {
    const streams = new Set(operations.flatMap(({ responses }) => Object.values(responses))
      .flatMap(({ content }) => content?.['text/event-stream'] ?? []).map(({ schema }) => named(schema)))
    t.strictSame([...streams].sort(), ['ChatCompletionChunk', 'MessageEvent', 'ResponseEvent', 'SessionEvent', 'TenantEvent'])
    for (const name of ['MessageEvent', 'SessionEvent', 'TenantEvent']) {
      const { anyOf, 'x-event-schemas': told } = schemas[name]!
      t.strictSame([...new Set(Object.values(told!))], anyOf!.map(({ $ref }) => $ref), name)
    }
  })

  t.test('whoever asks for webhooks is told of all events, in the document for older generators as well', async (t) => {
    const { body: older } = await client.ask<Document>('/openapi-3.0.json')
    for (const { paths, components } of [document, older]) {
      const { post } = paths['/api/webhook-endpoints']!['post']!.callbacks!['event']!['{$request.body#/url}']!
      t.equal(named(post.requestBody!.content['application/json']!.schema), 'WebhookEvent')
      const kinds = Object.values(document.webhooks).map(({ post }) => named(post!.requestBody!.content['application/json']!.schema))
      t.strictSame(components.schemas['WebhookEvent']!.oneOf!.map(named), kinds)
    }
    t.ok(schemas['WebhookEvent']!.discriminator)
    t.notOk(older.components.schemas['WebhookEvent']!.discriminator)
  })

  t.test('knows the error codes that there are', async (t) => {
    t.strictSame([...schemas['Problem']!.properties!['code']!['x-extensible-enum']!].sort(), Object.keys(errorKinds).sort())
  })
})
