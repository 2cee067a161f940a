import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fastify } from 'fastify'
import t, { type Test } from 'tap'
import { temporaryFolder } from '../helper.ts'
import { type Document } from './contract.ts'
import { check } from './folder.ts'
import { type Exchange, record } from './recorder.ts'

const thing = { type: 'object', required: ['id'], properties: { id: { type: 'integer' } }, additionalProperties: false }
const json = (schema: object) => ({ content: { 'application/json': { schema } } })
const headers = { 'x-request-id': { $ref: '#/components/headers/x-request-id' }, etag: { $ref: '#/components/headers/etag' } }

const document: Document = {
  paths: {
    '/things/{id}': {
      put: {
        operationId: 'putThing',
        parameters: [
          { in: 'path', name: 'id', required: true, schema: { type: 'integer' } },
          { in: 'query', name: 'mode', required: true, schema: { enum: ['quick'] } }
        ],
        requestBody: json({ $ref: '#/components/schemas/Thing' }),
        responses: {
          200: { headers, ...json({ $ref: '#/components/schemas/Thing' }) },
          204: {},
          404: { $ref: '#/components/responses/NotFound' }
        }
      }
    },
    '/events': {
      get: { operationId: 'follow', responses: { 200: { content: { 'text/event-stream': { schema: { $ref: '#/components/schemas/Thing' } } } } } }
    }
  },
  components: {
    schemas: { Thing: thing },
    responses: { NotFound: json({ type: 'object', required: ['code'] }) },
    headers: { 'x-request-id': { required: true, schema: { type: 'string' } }, etag: { schema: { type: 'string', minLength: 3 } } }
  }
}

const taken = { type: 'application/json; charset=utf-8', parts: { path: { id: 1 }, query: { mode: 'quick' }, header: {} }, body: { id: 1 } }
const put: Exchange = {
  method: 'PUT', path: '/things/{id}', status: 200, headers: { 'x-request-id': 'a' }, type: 'application/json', body: '{"id":1}', request: taken
}
const gone: Exchange = { method: 'PUT', path: '/things/{id}', status: 404, headers: {}, type: 'application/json', body: '{"code":"x"}' }
const empty: Exchange = { method: 'PUT', path: '/things/{id}', status: 204, headers: {}, request: taken }
const events: Exchange = {
  method: 'GET',
  path: '/events',
  status: 200,
  headers: {},
  type: 'text/event-stream',
  body: 'event: thing\nid: 1\ndata: {"id":1}\n\n: still here\n\ndata: [DONE]\n\nevent: thing\ndata: {"i',
  request: { parts: { path: {}, query: {}, header: {} } }
}
const right = [put, gone, empty, events]

async function findings (t: Test, exchanges: readonly Exchange[], unseen: readonly string[] = [], openBodies: readonly string[] = []) {
  const folder = await temporaryFolder(t)
  await writeFile(join(folder, '1.jsonl'), exchanges.map((exchange) => `${JSON.stringify(exchange)}\n`).join(''))
  return await check(folder, document, new Set(unseen), new Set(openBodies))
}

t.test('traffic that is as documented', async (t) => {
  const outside = [{ method: 'GET', status: 404, headers: {} }, { method: 'PATCH', path: '/events', status: 405, headers: {} }]
  t.match(await findings(t, [...right, ...outside]), { faults: [], missing: [], expectable: [], summary: /^4 forms of exchanges, and 2 / })
})

t.test('each fault is found', async (t) => {
  const query = { ...taken.parts, query: {} }
  const faults: Array<[string, Exchange, RegExp]> = [
    ['a status', { ...put, status: 418 }, /^putThing 418: the document does not have this status/],
    ['an operation', { ...put, method: 'POST' }, /^POST \/things\/\{id\}: 200/],
    ['a type', { ...put, type: 'text/html' }, /does not have the type text\/html/],
    ['a body', { ...put, body: '{"id":"1"}' }, /the answer does not fit: \/id must be integer/],
    ['half a body', { ...put, body: '{"id":' }, /the answer is not JSON/],
    ['a body where none is documented', { ...empty, type: 'text/plain', body: 'x' }, /does not have the type/],
    ['a shared answer', { ...gone, body: '{}' }, /must have required property 'code'/],
    ['a header that is not there', { ...put, headers: {} }, /the header x-request-id is missing/],
    ['a header', { ...put, headers: { ...put.headers, etag: 'a' } }, /the header etag does not fit/],
    ['an event', { ...events, body: 'data: {"id":1}\n\ndata: {"id":null}\n\n' }, /^follow 200: the event does not fit/],
    ['a request that was taken', { ...put, request: { ...taken, body: { id: 1, more: 1 } } }, /the body that was taken does not fit/],
    ['a type that was taken', { ...put, request: { ...taken, type: 'text/csv' } }, /taken with a body of type text\/csv/],
    ['a parameter', { ...put, request: { ...taken, parts: { ...taken.parts, path: { id: 'x' } } } }, /id in path, which was taken, does not fit/],
    ['a parameter that is not there', { ...put, request: { ...taken, parts: query } }, /taken without mode in query/],
    ['one that nobody knows', { ...put, request: { ...taken, parts: { ...query, query: { mode: 'quick', more: '1' } } } }, /taken with \?more/]
  ]
  for (const [name, exchange, fault] of faults) t.match((await findings(t, [...right, exchange])).faults, [fault], name)
})

t.test('what is documented and never seen is found, unless it is an exception', async (t) => {
  t.strictSame((await findings(t, [put, empty])).missing, ['putThing 404', 'follow 200'])
  t.match(await findings(t, [put, empty], ['putThing 404', 'putThing 200']), { missing: ['follow 200'], expectable: ['putThing 200'] })
  t.strictSame((await findings(t, [...right, { ...put, request: { ...taken, body: 'x' } }], [], ['putThing'])).faults, [])
})

t.test('what an app takes and answers is recorded, each form once, and held against the document', async (t) => {
  const folder = await temporaryFolder(t)
  const app = fastify()
  app.put('/things/:id', { schema: { params: { type: 'object', properties: { id: { type: 'integer' } } } } }, async ({ params, query }, reply) => {
    const { id } = params as { id: number }
    reply.header('x-request-id', 'a')
    if (id === 4) return await reply.code(204).send()
    if (id === 5) return await reply.code(404).send({ code: 'x' })
    return 'odd' in (query as object) ? { id: 'odd' } : { id }
  })
  app.get('/events', async (_request, reply) => {
    reply.hijack()
    reply.raw.writeHead(200, { 'content-type': 'text/event-stream' })
    reply.header('content-type', 'text/event-stream')
    reply.raw.write('data: {"id":1}\n\n')
    reply.raw.end('data: {"id":2}\n\n')
  })
  record(app, folder)
  await app.listen({ port: 0 })
  t.teardown(async () => await app.close())
  const { port } = app.server.address() as { port: number }
  for (const url of ['/things/1?mode=quick', '/things/2?mode=quick', '/things/4?mode=quick', '/things/5?mode=quick']) {
    await (await fetch(`http://127.0.0.1:${port}${url}`, { method: 'PUT', body: '{"id":1}', headers: { 'content-type': 'application/json' } })).text()
  }
  await (await fetch(`http://127.0.0.1:${port}/events`)).text()
  await app.inject('/nowhere')
  t.match(await check(folder, document, new Set(), new Set()), { faults: [], missing: [], summary: /^4 forms of exchanges, and 1 / })
  await app.inject({ method: 'PUT', url: '/things/1?mode=quick&odd=1', payload: { id: 1 } })
  t.match((await check(folder, document, new Set(), new Set())).faults, [/taken with \?odd/, /does not fit: \/id must be integer: \{"id":"odd"\}/])
})
