import t from 'tap'
import { type Operation } from '../security/document.ts'
import { each } from '../security/each.ts'
import { isIgnored, membersOf } from '../security/names.ts'
import { assembled, type Parts, validParts } from '../security/requests.ts'
import { type Heard } from '../security/wire.ts'
import { toJson, wrongValues } from '../security/wrong-values.ts'
import { ask, changes, dataOf, description, nothingCameOut, operations, OURS, owner, place, strangePlace, stranger, THEIRS } from '../security/world.ts'

const takeJson = operations.filter(({ body }) => body !== undefined && /json$/.test(body.type) && !/ndjson$/.test(body.type))
// Signed, a body is only looked at as it was.
const writes = takeJson.filter(({ id, path }) => id !== 'receiveWebhook' && !path.startsWith('/v1/'))
// Clients of OpenAI send more than is taken here, so these bodies are open.
const openBodies = takeJson.filter(({ path }) => path.startsWith('/v1/'))
const requestOf = (operation: Operation) => {
  const parts = validParts(description, operation, place)
  // A replay must never be what answers.
  const { 'idempotency-key': _key, ...headers } = parts.headers
  return { ...parts, headers } as Parts & { body: Record<string, unknown> }
}

interface Problem { readonly code: string, readonly errors?: Array<{ readonly path: string }> }

function refusal ({ status, text }: Heard): Partial<Problem> {
  return status === 400 ? JSON.parse(text) as Problem : { code: `${status} ${text.slice(0, 300)}` }
}

t.test('no member of a body takes what is not of its kind', async (t) => {
  const wrong: string[] = []
  const before = [await dataOf(OURS), await dataOf(THEIRS)]
  let tried = 0
  await each(writes, async (operation) => {
    const parts = requestOf(operation)
    for (const [name, schema] of Object.entries(operation.body!.schema.properties ?? {})) {
      await each(wrongValues(description, schema), async (value) => {
        tried++
        const body = toJson({ ...parts.body, [name]: value })
        const { code, errors } = refusal(await ask(owner, assembled(operation, { ...parts, body })))
        if (code === 'validation_failed' && errors?.[0]?.path.split('/')[1] === name) return
        wrong.push(`${operation.id}, ${name} ${toJson(value).slice(0, 80)}: ${code} ${errors?.[0]?.path}`)
      })
    }
  }, 2)
  t.strictSame(wrong.slice(0, 20), [])
  t.ok(tried > 500, `${tried} values`)
  t.strictSame(changes(before[0]!, await dataOf(OURS)), [], 'nothing was written')
  t.strictSame(changes(before[1]!, await dataOf(THEIRS)), [], 'nothing was written')
})

const foreignMembers = [
  'tenantId', 'tid', 'tenant', '_id', 'id', '__v', 'version', 'role', 'roles', 'scope', 'scopes', 'plan', 'usage', 'quota', 'createdAt', 'updatedAt', 'deletedAt',
  'startedAt', 'lastActivity', 'lastUsedAt', 'ownerId', 'userId', 'createdBy', 'status', 'nextSeq', 'turn', 'seq', 'sessionId', 'configVersion', 'content',
  'hash', 'passwordHash', 'keyHash', 'prefix', 'key', 'isAdmin', 'emailVerified', 'verified', 'active', 'members', 'messageCount', '$set', '$where', '$ne', '$expr',
  'constructor', 'prototype', 'toString', 'hasOwnProperty', '', 'a/b~c', 'a.b', 'tone.style', 'model[name]'
]

t.test('no body takes a member that is not its own', async (t) => {
  const wrong: string[] = []
  const before = [await dataOf(OURS), await dataOf(THEIRS)]
  await each(writes, async (operation) => {
    const parts = requestOf(operation)
    const send = async (body: string) => refusal(await ask(owner, assembled(operation, { ...parts, body })))
    const known = operation.body!.schema.properties ?? {}
    const members = JSON.stringify(parts.body).slice(1)
    for (const name of foreignMembers.filter((name) => !Object.hasOwn(known, name))) {
      // Whose names they are does not matter.
      const { code, errors } = await send(JSON.stringify({ ...parts.body, [name]: strangePlace.config }))
      const pointer = `/${name.replaceAll('~', '~0').replaceAll('/', '~1')}`
      if (code !== 'validation_failed' || errors?.[0]?.path !== pointer) wrong.push(`${operation.id}, ${name}: ${code} ${errors?.[0]?.path}`)
    }
    for (const name of ['__proto__', '\\u005f_proto__']) {
      const { code } = await send(`{"${name}":{"scopes":["admin"]}${members === '}' ? '' : ','}${members}`)
      if (code !== 'malformed_json') wrong.push(`${operation.id}, ${name}: ${code}`)
    }
    const { code } = await send(`{"constructor":{"prototype":{"x":1}}${members === '}' ? '' : ','}${members}`)
    if (code !== 'malformed_json') wrong.push(`${operation.id}, constructor: ${code}`)
    for (const body of ['null', '1', '"x"', 'true', '[]', '[{}]', '""', `[${JSON.stringify(parts.body)}]`]) {
      const { code } = await send(body)
      if (code !== 'validation_failed') wrong.push(`${operation.id}, ${body}: ${code}`)
    }
  }, 4)
  t.strictSame(wrong.slice(0, 20), [])
  t.equal(({} as Record<string, unknown>)['scopes'], undefined)
  t.strictSame(changes(before[0]!, await dataOf(OURS)), [], 'nothing was written')
  t.strictSame(changes(before[1]!, await dataOf(THEIRS)), [], 'nothing was written')
})

t.test('whatever is in an open body, it is done or refused, and nobody else is touched', async (t) => {
  const wrong: string[] = []
  const before = await dataOf(THEIRS)
  let refused = 0
  await each(openBodies, async (operation) => {
    const parts = requestOf(operation)
    const known = Object.entries(operation.body!.schema.properties ?? {})
    const bodies = [
      ...known.flatMap(([name, schema]) => wrongValues(description, schema).map((value) => ({ ...parts.body, [name]: value }))),
      ...foreignMembers.map((name) => ({ ...parts.body, [name]: strangePlace.config })),
      ...['model', 'messages', 'input', 'previous_response_id', 'user', 'metadata'].map((name) => ({ ...parts.body, [name]: { $ne: null } }))
    ]
    await each(bodies.map(toJson), async (body) => {
      const { status, text } = await ask(owner, assembled(operation, { ...parts, body }))
      const { error } = JSON.parse(text) as { error?: { message?: unknown } | null }
      if (status >= 400) refused++
      if (status >= 500 || (status >= 400 && typeof error?.message !== 'string')) wrong.push(`${operation.id}, ${body.slice(0, 200)}: ${status} ${text.slice(0, 200)}`)
    })
  }, 2)
  t.strictSame(wrong.slice(0, 20), [])
  t.ok(refused > 100, `${refused} refused`)
  t.strictSame(changes(before, await dataOf(THEIRS)), [], 'nothing was written')
})

t.test('what is the server\'s to say and may be in a body is not looked at', async (t) => {
  for (const operation of writes) {
    const ignored = membersOf(description, operation.body!.schema).filter(([, schema]) => isIgnored(schema)).map(([path]) => path.slice(1))
    if (ignored.length === 0) continue
    const parts = requestOf(operation)
    for (const value of [strangePlace.config, 1_000_000, { $inc: 1 }, { $ne: null }]) {
      const body = { ...parts.body, ...Object.fromEntries(ignored.map((name) => [name, value])) }
      const { status, text } = await ask(owner, assembled(operation, { ...parts, body }))
      t.equal(status, 200, operation.id)
      const answer = JSON.parse(text) as Record<string, unknown>
      t.strictSame(ignored.filter((name) => JSON.stringify(answer[name]) === JSON.stringify(value)), [], operation.id)
      t.equal(answer['id'], place.config)
    }
  }
})

t.test('texts that look like instructions are stored as they are', async (t) => {
  const strange = { $where: '1', $ne: { $gt: '' }, 'a.b': 1, 'a[$ne]': [{ $in: [] }], toString: 'x', valueOf: null, length: -1, hasOwnProperty: 1 }
  const { text } = await ask(owner, { method: 'POST', path: '/api/sessions', body: JSON.stringify({ configId: place.config, title: '{"$ne":null}', metadata: strange }) })
  const { id } = JSON.parse(text) as { id: string }
  const read = await ask(owner, { method: 'GET', path: `/api/sessions/${id}` })
  t.match(JSON.parse(read.text), { title: '{"$ne":null}' })
  t.strictSame((JSON.parse(read.text) as { metadata: object }).metadata, strange)
})

t.test('an import changes nothing that is somebody else\'s', async (t) => {
  const headers = { 'content-type': 'application/x-ndjson' }
  const { text: ours } = await ask(owner, { method: 'GET', path: '/api/export' })
  const before = await dataOf(OURS)
  const lines = ours.split('\n')
  const theirs = await dataOf(THEIRS)
  for (const line of lines.slice(1, -2)) {
    const { status } = await ask({ ...stranger, isStranger: false }, { method: 'POST', path: '/api/import', headers, body: `${lines[0]}\n${line}\n` })
    if (status < 400) t.fail(`imported: ${line}`)
  }
  t.strictSame(changes(before, await dataOf(OURS)), [])
  t.strictSame(changes(theirs, await dataOf(THEIRS)), [])
})

t.test('nothing came out', async (t) => { await nothingCameOut(t) })
