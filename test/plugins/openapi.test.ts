import { readFile } from 'node:fs/promises'
import { METHODS } from 'node:http'
import { join } from 'node:path'
import t from 'tap'
import { startApp } from '../helper.ts'

interface Response {
  $ref?: string
  description: string
  headers?: Record<string, { $ref: string }>
  content?: Record<string, { schema: { $ref?: string } }>
}

interface Operation {
  operationId: string
  summary: string
  description?: string
  tags: string[]
  security?: unknown[]
  parameters?: Array<{ in: string, name: string, description?: string, required: boolean, schema: { type?: string, default?: unknown, maximum?: number } }>
  requestBody?: { required: boolean, content: Record<string, { schema: { $ref: string } }> }
  responses: Record<string, Response>
  'x-scopes'?: string[]
}

interface Schema {
  description?: string
  examples?: unknown[]
  properties?: Record<string, { description?: string, enum?: string[] }>
}

interface Document {
  openapi: string
  info: { version: string, license: { name: string } }
  tags: Array<{ name: string }>
  paths: Record<string, Record<string, Operation>>
  components: { schemas: Record<string, Schema>, responses: Record<string, Response>, headers: Record<string, unknown>, securitySchemes: Record<string, unknown> }
}

const root = new URL('../../', import.meta.url).pathname
const isForOpenAi = (path: string) => path.startsWith('/v1/')
/** All but the operations of the server itself. */
const isOfApi = (path: string) => path.startsWith('/api/') || isForOpenAi(path)

/** The paths of the tree that `printRoutes` draws. */
function pathsIn (tree: string): string[] {
  const above: string[] = []
  return tree.trimEnd().split('\n').map((line) => {
    const [, indent = '', segment = ''] = /^([│├└─ ]*)(\S*) \(/.exec(line) ?? []
    const depth = indent.length / 4
    above.splice(depth - 1, Infinity, segment)
    return above.join('')
  })
}

t.test('the document', async (t) => {
  // What is injected and answered without a body leaves the timer of its answer behind, and this process waits for it.
  const { app, client } = await startApp(t, { MAX_MESSAGE_CHARS: '1234' }, { unreadMs: 500 })
  const { body: document } = await client.with({}).ask<Document>('/openapi.json')
  const written = ([status, response]: [string, Response]) =>
    [status, response.$ref === undefined ? response : document.components.responses[response.$ref.split('/').at(-1)!]!] as const
  const operations = Object.entries(document.paths).flatMap(([path, methods]) => Object.entries(methods).map(([method, operation]) =>
    ({ path, method, ...operation, responses: Object.fromEntries(Object.entries(operation.responses).map(written)) })))

  t.test('is OpenAPI 3.1 with a semantic version, a license, named components and the two kinds of credentials', async (t) => {
    const { openapi, info, components } = document
    t.match(openapi, /^3\.1\.\d+$/)
    t.match(info.version, /^\d+\.\d+\.\d+$/)
    t.equal(info.license.name, 'MIT')
    for (const name of ['ChatbotConfig', 'ChatbotConfigInput', 'Session', 'Message', 'Problem']) t.ok(components.schemas[name], name)
    t.strictSame(Object.keys(components.schemas).filter((name) => !/^([A-Z][a-z]+)+$/.test(name)), [])
    t.match(components.securitySchemes, {
      bearerAuth: { type: 'http', scheme: 'bearer' }, apiKey: { type: 'apiKey', in: 'header', name: 'X-API-Key' }
    })
    t.notMatch(JSON.stringify(document), /"\$id"|def-\d|schema-\d/)
    t.match(components.schemas['MessageInput'], { properties: { message: { maxLength: 1234 } } }, 'this server\'s own limit')
  })

  t.test('every operation says what it is, what it needs and how it can fail', async (t) => {
    const ids = operations.map(({ operationId }) => operationId)
    t.equal(new Set(ids).size, ids.length, 'unique operation ids')
    const tags = document.tags.map(({ name }) => name)
    // Whoever asks for these has no credential yet.
    const open = [
      'grantToken', 'registerAccount', 'logIn', 'refreshSignIn', 'logOut', 'verifyEmail', 'requestPasswordReset', 'confirmPasswordReset',
      'acceptInvitation', 'getCsrfToken', 'beginProviderLogin', 'endProviderLogin', 'receiveWebhook', 'verifyWebhookAddress'
    ]
    for (const { operationId, summary, description, tags: given, security, responses, 'x-scopes': scopes, path } of operations) {
      t.match(operationId, /^[a-z]+([A-Z][a-z]+)+$/)
      t.ok(summary, `${operationId} has a summary`)
      t.equal(given.length, 1, `${operationId} has a tag`)
      t.ok(given.every((tag) => tags.includes(tag)), 'which is described')
      if (isOfApi(path)) t.hasProps(responses, ['400', '429', '500', '503', ...(open.includes(operationId) ? [] : ['401'])])
      if (isOfApi(path) && !open.includes(operationId)) {
        t.ok(scopes?.every((scope) => description?.includes(`\`${scope}\``)), `${operationId} tells its scopes`)
        t.ok(scopes && scopes.length > 0)
        const isSignable = operationId === 'receiveMessage'
        t.strictSame(security, isSignable ? [{ bearerAuth: [] }, { apiKey: [] }, {}] : undefined, `${operationId} takes the credentials of the document`)
      } else {
        t.strictSame(security, [], `${operationId} is public`)
        t.equal(scopes, undefined)
      }
    }
  })

  t.test('every failure is a problem; only health tells of itself with 503, and clients of OpenAI are told as OpenAI does', async (t) => {
    for (const { operationId, path, responses } of operations) {
      const failures = Object.entries(responses).filter(([status]) => Number(status) >= 400)
      t.ok(failures.some(([status]) => status.startsWith('4')), `${operationId} can be asked in a wrong way`)
      for (const [status, { description, content }] of failures) {
        if (status === '503' && ['getHealth', 'getReadiness'].includes(operationId)) continue
        const [type, name] = isForOpenAi(path) ? ['application/json', 'OpenAiError'] : ['application/problem+json', 'Problem']
        t.strictSame(content, { [type]: { schema: { $ref: `#/components/schemas/${name}` } } }, `${operationId} ${status}`)
        t.match(description, /`[a-z_]+`/, 'names the codes')
      }
    }
  })

  t.test('response headers stand where they occur', async (t) => {
    const headers = (operationId: string, status: number | string) =>
      Object.keys(operations.find((operation) => operation.operationId === operationId)!.responses[status]!.headers ?? {})
    for (const { operationId, path, responses, security } of operations) {
      for (const status of Object.keys(responses)) {
        const names = headers(operationId, status)
        t.ok(names.includes('x-request-id'), `${operationId} ${status}`)
        t.equal(names.includes('ratelimit-remaining'), isOfApi(path), 'all but the operations of the server is limited')
      }
      if (!security) {
        t.ok(headers(operationId, 401).includes('www-authenticate'))
        t.ok(headers(operationId, 429).includes('retry-after'))
      }
    }
    t.ok(headers('createConfig', 201).includes('location'))
    t.ok(headers('createConfig', 201).includes('etag'))
    t.ok(headers('createSession', 201).includes('location'))
    for (const id of ['getConfig', 'replaceConfig', 'patchConfig']) t.ok(headers(id, 200).includes('etag'), id)
    t.ok(headers('getConfig', 304).includes('etag'))
    t.ok(headers('sendMessage', 200).includes('idempotency-replayed'))
    t.notOk(headers('getSession', 200).includes('etag'))
  })

  t.test('the headers that a response really has are those of the document', async (t) => {
    const created = await client.fetch('/api/configs', { body: { purpose: 'Help.' } })
    t.match(created.headers.get('location'), /^\/api\/configs\/[0-9a-f]{24}$/)
    const known = await client.fetch(created.headers.get('location')!, { headers: { 'if-none-match': created.headers.get('etag')! } })
    t.equal(known.status, 304)
    t.equal(known.headers.get('etag'), created.headers.get('etag'))
  })

  t.test('parameters are described, numbers have an end, and those with a default may be left out', async (t) => {
    for (const { operationId, parameters = [] } of operations) {
      for (const { name, in: where, description, required, schema } of parameters) {
        if (schema.type === 'integer') t.ok(schema.maximum! < 2 ** 31, `${operationId} ${name}`)
        t.ok(description, `${operationId} describes ${name}`)
        if (schema.default !== undefined) t.notOk(required, `${operationId} ${name}`)
        else if (where === 'path') t.ok(required, `${operationId} ${name}`)
      }
    }
  })

  t.test('event streams name the components of their events', async (t) => {
    const [sent, followed] = ['sendMessage', 'streamMessage'].map((id) => operations.find(({ operationId }) => operationId === id)!)
    t.strictSame(Object.keys(sent!.responses[200]!.content!), ['application/json', 'text/event-stream'])
    t.strictSame(followed!.responses[200]!.content, { 'text/event-stream': { schema: { $ref: '#/components/schemas/MessageEvent' } } })
  })

  t.test('names the routes that exist, all of them and no other', async (t) => {
    const documented = operations.map(({ method, path }) => `${method.toUpperCase()} ${path}`).sort()
    // The pages for people are no part of the API.
    const paths = pathsIn(app.printRoutes({ commonPrefix: false })).filter((path) => !path.startsWith('/docs'))
    const existing: string[] = []
    for (const path of paths) {
      const url = path.replaceAll(/:(id|messageId)/g, '0123456789abcdef01234567').replace(':version', '1')
      for (const method of METHODS.filter((name) => app.supportedMethods.includes(name))) {
        const { statusCode } = await app.inject({ method: method as 'GET', url })
        if (statusCode !== 405) existing.push(`${method} ${path.replaceAll(/:(\w+)/g, '{$1}')}`)
      }
    }
    // Every GET has a HEAD twin, which the document need not tell.
    const told = existing.filter((name) => !(name.startsWith('HEAD ') && existing.includes(name.replace('HEAD', 'GET'))))
    t.strictSame(told.sort(), documented)
    t.equal((await app.inject({ url: '/api/unknown' })).statusCode, 404)
  })

  t.test('is the document that is kept with the code', async (t) => {
    const { body: served } = await (await startApp(t)).client.ask('/openapi.json')
    t.strictSame(served, JSON.parse(await readFile(join(root, 'openapi.json'), 'utf8')), 'npm run openapi -- --write')
  })
})
