import t from 'tap'
import { ChatbotConfigInput, ChatbotConfigPatch, ChatbotConfigReplacement } from '../../schemas/chatbot-config.ts'
import { ConfigImport } from '../../schemas/config-export.ts'
import { RollbackInput } from '../../schemas/config-version.ts'
import { MessageInput } from '../../schemas/message.ts'
import { SessionInput, SessionPatch } from '../../schemas/session.ts'
import { contents, isProblem, nobody } from '../edge.ts'
import { startApp } from '../helper.ts'

const { app, client, adminKey, db } = await startApp(t)
const config = await client.createConfig({ name: 'Untouched' })
const session = await client.createSession(config, { userId: 'someone' })

/** What a JSON schema of ours can say. */
interface Schema {
  type?: string
  enum?: string[]
  anyOf?: Schema[]
  properties?: Record<string, Schema>
  items?: Schema
  maxLength?: number
  maxItems?: number
  minLength?: number
  minimum?: number
  maximum?: number
  additionalProperties?: boolean
}

const writes: Record<string, { method: string, path: string, valid: Record<string, unknown>, schema: object }> = {
  createConfig: { method: 'POST', path: '/api/configs', valid: { purpose: 'x' }, schema: ChatbotConfigInput },
  replaceConfig: {
    method: 'PUT',
    path: `/api/configs/${config}`,
    valid: { purpose: 'x' },
    schema: ChatbotConfigReplacement
  },
  patchConfig: { method: 'PATCH', path: `/api/configs/${config}`, valid: {}, schema: ChatbotConfigPatch },
  rollbackConfig: { method: 'POST', path: `/api/configs/${config}/rollback`, valid: { version: 1 }, schema: RollbackInput },
  importConfig: {
    method: 'POST',
    path: '/api/configs/import',
    valid: { format: 'parley.config', formatVersion: 1, config: { purpose: 'x' } },
    schema: ConfigImport
  },
  createSession: { method: 'POST', path: '/api/sessions', valid: { configId: config }, schema: SessionInput },
  patchSession: { method: 'PATCH', path: `/api/sessions/${session}`, valid: {}, schema: SessionPatch },
  sendMessage: {
    method: 'POST',
    path: `/api/sessions/${session}/messages`,
    valid: { message: 'x' },
    schema: MessageInput(5000)
  }
}

const propertiesOf = ({ schema }: { schema: Schema }) => schema.properties ?? {}

const HUGE = '<1e400>'
/** As JSON text, with a number in it that no double holds. */
const toJson = (body: unknown) => JSON.stringify(body).replaceAll(`"${HUGE}"`, '1e400')
const send = async ({ method, path }: { method: string, path: string }, body: string) => await client.ask(path,
  { method, body })

const operators = [{ $ne: null }, { $gt: '' }, { $where: 'sleep(1000)' }, [{ $ne: null }]]
const unclean = ['a\0b', '\ud800', 'a\udc00b', '\udc00\ud800']

/** Values that a member of this schema must not have. */
function wrongValues (schema: Schema): unknown[] {
  if (schema.anyOf) return wrongValues(schema.anyOf[0]!).filter((value) => value !== null)
  switch (schema.type) {
    case 'string': return [
      null, 1, true, [], {}, ['x'], ...operators, ...unclean,
      ...(schema.maxLength === undefined
        ? ['other']
        : ['a'.repeat(schema.maxLength + 1),
            '😀'.repeat(schema.maxLength + 1)]),
      ...(schema.minLength === 1 ? ['', ' ', '\n\t\r', '\u00a0\u2003\ufeff'] : [])
    ]
    case 'integer': return [null, '1', true, [1], {}, 1.5, HUGE, schema.minimum! - 1, schema.maximum! + 1, 2 ** 63,
      ...operators]
    case 'number': return [null, '1', true, [1], {}, HUGE, schema.minimum! - 0.001, schema.maximum! + 0.001,
      ...operators]
    case 'array': return [
      null, 'x', 1, {}, { 0: 'a' }, { $ne: null }, Array(schema.maxItems! + 1).fill('x'), ...wrongValues(schema.items!).map((value) => ['a', value])
    ]
    case 'object': return schema.additionalProperties
      ? [null, 'x', 1, [], [{}], { a: unclean[0] }, { a: [unclean[1]] }, { [unclean[0]!]: 1 },
          { a: { [unclean[1]!]: 1 } }, { a: HUGE }, { _bsontype: 'ObjectId' }, {
            a: [{
              _bsontype: 'Code',
              code: 'x'
            }]
          }]
      : [
          null, 'x', 1, [], [{}], { $ne: null }, { unknown: 1 },
          ...Object.entries(schema.properties!).flatMap(([name,
            inner]) => wrongValues(inner).map((value) => ({ [name]: value })))
        ]
    case 'boolean': return [null, 'true', 1, [], {}]
    // What the schema leaves open, the read-only members of a replacement, is not looked at.
    default: return []
  }
}

for (const [operation, write] of Object.entries(writes)) {
  t.test(`${operation} refuses whatever does not fit, member by member`, async (t) => {
    const before = await contents(db)
    let tried = 0
    for (const [name, schema] of Object.entries(propertiesOf(write))) {
      for (const value of wrongValues(schema)) {
        tried++
        const answer = await send(write, toJson({ ...write.valid, [name]: value }))
        isProblem(t, answer, 'validation_failed', `${name} ${toJson(value).slice(0, 60)}`)
        const [{ path }] = answer.body['errors'] as [{ path: string }]
        if (path.split('/')[1] !== name) t.fail(`${path} is not in ${name}`)
      }
    }
    t.ok(tried > 15, `${tried} values`)
    t.equal(await contents(db), before, 'nothing was written')
  })

  t.test(`${operation} takes no member that is not its own`, async (t) => {
    const before = await contents(db)
    const foreign = [
      'tenantId', '_id', 'id', 'version', 'createdAt', 'updatedAt', 'deletedAt', 'startedAt', 'lastActivity', 'userId', 'status', 'nextSeq', 'turn', 'role',
      'seq', 'sessionId', 'configVersion', 'content', 'hash', 'scopes', 'messageCount', '$set', '$where', 'constructor', 'prototype', 'toString', '', 'a/b~c', 'a.b'
    ]
    for (const name of foreign.filter((name) => !Object.hasOwn(propertiesOf(write), name))) {
      const answer = await send(write, toJson({ ...write.valid, [name]: nobody }))
      isProblem(t, answer, 'validation_failed', name)
      t.match(answer.body['errors'], [{ path: `/${name.replaceAll('~', '~0').replaceAll('/', '~1')}` }])
    }
    for (const name of ['__proto__', '\\u005f_proto__']) {
      const members = toJson(write.valid).slice(1)
      isProblem(t, await send(write, `{"${name}":{"scopes":["admin"]}${members === '}' ? '' : ','}${members}`),
        'malformed_json', name)
    }
    isProblem(t, await send(write, `{"constructor":{"prototype":{"x":1}},${toJson({ ...write.valid, x: 1 }).slice(1)}`), 'malformed_json')
    t.equal(({} as Record<string, unknown>)['scopes'], undefined)
    t.equal(await contents(db), before, 'nothing was written')
  })

  t.test(`${operation} takes an object that is not too deep, and nothing else`, async (t) => {
    const before = await contents(db)
    for (const body of ['null', '1', '"x"', 'true', '[]', '[{}]', '""']) {
      isProblem(t, await send(write, body),
        'validation_failed', body)
    }
    const required = Object.keys(write.valid)
    for (const body of ['', ...(required.length > 0 ? ['{}'] : [])]) {
      isProblem(t, await send(write, body), 'validation_failed', `"${body}"`)
    }
    const deep = {
      '33 deep': `{"metadata":${'{"a":'.repeat(32)}1${'}'.repeat(32)}}`,
      'an array of 100,000 levels': `${'['.repeat(100_000)}${']'.repeat(100_000)}`,
      'an open array of 100,000 levels': '['.repeat(100_000),
      'a member of 40,000 levels': `{"metadata":{"a":${'{"":'.repeat(40_000)}1${'}'.repeat(40_000)}}}`
    }
    for (const [label, body] of Object.entries(deep)) isProblem(t, await send(write, body), 'validation_failed', label)
    for (const body of ['{', '{"a":}', "{'a':1}", 'undefined', 'NaN', '[1,]', '{}{}', '{}]', '\0', '{"a":01}',
      '{"a":"\n"}', '{"a":"\\x"}', '// {}']) {
      isProblem(t, await send(write, body), 'malformed_json', JSON.stringify(body))
    }
    t.equal(await contents(db), before, 'nothing was written')
  })

  t.test(`${operation} reads UTF-8 only`, async (t) => {
    const before = await contents(db)
    const [start, end] = toJson({
      ...write.valid,
      message: '|'
    }).split('|').map((part) => Buffer.from(part)) as [Buffer, Buffer]
    const sequences = {
      'a lone byte': [0xff],
      overlong: [0xc0, 0xaf],
      'an encoded surrogate': [0xed, 0xa0, 0x80],
      truncated: [0xf0, 0x9f, 0x98],
      'above the range': [0xf4, 0x90, 0x80, 0x80]
    }
    for (const [label, bytes] of Object.entries(sequences)) {
      const body = Buffer.concat([start, Buffer.from(bytes), end])
      const response = await fetch(client.url + write.path, {
        method: write.method, body, headers: { 'content-type': 'application/json', 'x-api-key': adminKey }
      })
      isProblem(t, { status: response.status, headers: response.headers, body: await response.json() },
        'malformed_json', label)
    }
    t.equal(await contents(db), before, 'nothing was written')
  })
}

t.test('nesting is counted, not brackets in texts', async (t) => {
  const nested = (levels: number) => `{"configId":"${config}","metadata":${'{"a":'.repeat(levels - 1)}"]]]\\"[[[["${'}'.repeat(levels - 1)}}`
  t.equal((await client.ask('/api/sessions', { body: nested(32) })).status, 201)
  isProblem(t, await client.ask('/api/sessions', { body: nested(33) }), 'validation_failed')
  const text = `{"configId":"${config}","metadata":{"${'['.repeat(100)}":"\\\\","b":"${'{'.repeat(100)}"}}`
  t.equal((await client.ask('/api/sessions', { body: text })).status, 201)
})

t.test('lengths count code points, and metadata counts bytes', async (t) => {
  const sends = async (message: string) => await client.ask(`/api/sessions/${session}/messages`, { body: { message } })
  t.match(await sends('😀'.repeat(5000)), { status: 200, body: { userMessage: { content: '😀'.repeat(5000) } } })
  isProblem(t, await sends('😀'.repeat(5001)), 'validation_failed', '5001')
  t.match(await client.ask('/api/configs', { body: { purpose: '😀'.repeat(2000), name: '😀'.repeat(120) } }),
    { status: 201, body: { name: '😀'.repeat(120) } })

  const filled = (bytes: number, character = 'a') => ({ a: character.repeat((bytes - 8) / Buffer.byteLength(character)) })
  for (const character of ['a', '😀']) {
    for (const [method, path, rest] of [
      ['POST', '/api/sessions', { configId: config }], ['PATCH', `/api/sessions/${session}`, {}], ['POST',
        `/api/sessions/${session}/messages`, { message: 'x' }]
    ] as const) {
      const ask = async (metadata: object) => await client.ask(path, { method, body: { ...rest, metadata } })
      t.match((await ask(filled(4096, character))).status, /20[01]/, `${method} ${path}: 4 KiB`)
      const over = { ...filled(4096 - 4, character), b: '' }
      t.ok(Buffer.byteLength(JSON.stringify(over)) > 4096)
      isProblem(t, await ask(over), 'validation_failed', `${method} ${path}: more`)
    }
  }
})

t.test('of two members of one name the last one counts', async (t) => {
  t.match(await client.ask('/api/configs', { body: '{"purpose":{"$ne":null},"purpose":"The last."}' }),
    { status: 201, body: { purpose: 'The last.' } })
  isProblem(t, await client.ask('/api/configs', { body: '{"purpose":"x","purpose":{"$ne":null}}' }),
    'validation_failed')
})

interface Operation { method: string, path: string, body?: unknown }

function operations (): Operation[] {
  const { paths } = app.swagger() as unknown as { paths: Record<string, Record<string, object>> }
  return Object.entries(paths).filter(([path]) => path.startsWith('/api/')).flatMap(([path,
    methods]) => Object.keys(methods).map((name) => {
    const write = Object.values(writes).find((write) =>
      write.method === name.toUpperCase() && write.path.replace(config, '{id}').replace(session, '{id}') === path)
    return { method: name.toUpperCase(), path, body: write?.valid }
  }))
}

t.test('a path that cannot be an identifier names nothing', async (t) => {
  const before = await contents(db)
  const ids = ['$where', '%7B%22$ne%22:null%7D', '[object%20Object]', '1', 'null', nobody.toUpperCase(), `${nobody}a`,
    '%00', '%ff', '%', '..%2f..%2fetc', '__proto__']
  for (const { method, path, body } of operations().filter(({ path }) => path.includes('{id}'))) {
    for (const id of ids) {
      isProblem(t, await client.ask(path.replace('{id}', id).replace('{messageId}', nobody).replace('{version}', '1'), { method, body }),
        'not_found', `${method} ${path} ${id}`)
      if (!path.includes('{messageId}')) continue
      isProblem(t, await client.ask(path.replace('{id}', session).replace('{messageId}', id), { method, body }),
        'not_found', `${method} ${path} message ${id}`)
    }
  }
  t.equal(await contents(db), before)
})

t.test('after all that the app answers, and what was there is as it was', async (t) => {
  t.match(await client.ask('/health'), { status: 200, body: { status: 'ok' } })
  t.match((await client.ask(`/api/configs/${config}`)).body, { name: 'Untouched', version: 1 })
  t.match((await client.ask(`/api/sessions/${session}`)).body, { userId: 'someone', status: 'active' })
})
