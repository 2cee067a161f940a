import t from 'tap'
import { contents, isProblem } from '../edge.ts'
import { startApp } from '../helper.ts'

const { client, adminKey, db } = await startApp(t)
const config = await client.createConfig({ name: 'Untouched' })
const session = await client.createSession(config, { userId: 'someone' })

const writes: Record<string, { method: string, path: string, valid: Record<string, unknown> }> = {
  createConfig: { method: 'POST', path: '/api/configs', valid: { purpose: 'x' } },
  replaceConfig: {
    method: 'PUT',
    path: `/api/configs/${config}`,
    valid: { purpose: 'x' }
  },
  patchConfig: { method: 'PATCH', path: `/api/configs/${config}`, valid: {} },
  rollbackConfig: { method: 'POST', path: `/api/configs/${config}/rollback`, valid: { version: 1 } },
  importConfig: {
    method: 'POST',
    path: '/api/configs/import',
    valid: { format: 'parley.config', formatVersion: 1, config: { purpose: 'x' } }
  },
  createSession: { method: 'POST', path: '/api/sessions', valid: { configId: config } },
  patchSession: { method: 'PATCH', path: `/api/sessions/${session}`, valid: {} },
  sendMessage: {
    method: 'POST',
    path: `/api/sessions/${session}/messages`,
    valid: { message: 'x' }
  }
}

const send = async ({ method, path }: { method: string, path: string }, body: string) => await client.ask(path,
  { method, body })

for (const [operation, write] of Object.entries(writes)) {
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
    const [start, end] = JSON.stringify({
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

t.test('after all that the app answers, and what was there is as it was', async (t) => {
  t.match(await client.ask('/health'), { status: 200, body: { status: 'ok' } })
  t.match((await client.ask(`/api/configs/${config}`)).body, { name: 'Untouched', version: 1 })
  t.match((await client.ask(`/api/sessions/${session}`)).body, { userId: 'someone', status: 'active' })
})
