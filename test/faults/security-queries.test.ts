import t from 'tap'
import { nobody, signJwt } from '../edge.ts'
import { type Operation, type Schema } from '../security/document.ts'
import { each } from '../security/each.ts'
import { assembled, validParts } from '../security/requests.ts'
import { type Asked } from '../security/wire.ts'
import { operatorTexts } from '../security/wrong-values.ts'
import { anonymous, ask, changes, dataOf, description, nothingCameOut, operations, OURS, owner, place } from '../security/world.ts'

/** A request that would be answered with 2xx, and the names in its path of nothing, where it would do something. */
function requestOf (operation: Operation): Asked {
  const parts = validParts(description, operation, place)
  const names = Object.keys(parts.params).filter((name) => name !== 'version')
  return assembled(operation, operation.method === 'GET' ? parts : { ...parts, params: { ...parts.params, ...Object.fromEntries(names.map((name) => [name, nobody])) } })
}

const withQuery = (asked: Asked, query: string): Asked => ({ ...asked, path: `${asked.path}${asked.path.includes('?') ? '&' : '?'}${query}` })

/** Whether the text is a value like others: then it finds what has that name, which is nothing. */
const isValue = (text: string, { type, enum: words, pattern = '', format }: Schema) =>
  type === 'string' && words === undefined && format === undefined && new RegExp(pattern, 'u').test(text)

const oddNumbers = ['0x1', '1e0', '1.', ' 1', '1 ', '+1', '01e1', '１', '1,0', 'Infinity', 'NaN', '-1', '1.5', '9'.repeat(30), '']

t.test('a parameter of the query is one text, and means nothing else', async (t) => {
  const wrong: string[] = []
  const before = await dataOf(OURS)
  let tried = 0
  const wanted = operations.flatMap((operation) => operation.parameters.filter(({ in: where }) => where === 'query').map((parameter) => ({ operation, ...parameter })))
  await each(wanted, async ({ operation, name, schema }) => {
    const asked = requestOf(operation)
    const refuses = async (query: string, expected: readonly number[]) => {
      tried++
      const { status, text } = await ask(owner, withQuery(asked, query))
      const isFound = expected.includes(200) && /"data":\[[^\]]/.test(text)
      if (isFound || !expected.includes(status)) wrong.push(`${operation.id} ?${query}: ${status} ${text.slice(0, 200)}`)
    }
    for (const form of ['[$ne]=1', '[$gt]=', '[]=1', '[0]=1', '[$where]=1', '.$ne=1', '%5B$ne%5D=1']) await refuses(name + form, [400])
    const value = validParts(description, operation, place).query[name] ?? (schema.type === 'integer' ? '1' : schema.enum?.[0] ?? 'x')
    await refuses(`${name}=${encodeURIComponent(value)}&${name}=${encodeURIComponent(value)}`, [400])
    await refuses(`${name}=%ff`, [400])
    // A cursor is read leniently: what is no character of it is passed over.
    if (name !== 'cursor') await refuses(`${name}=a%00b`, [400])
    // The first of two is in the request already, where it needs one.
    for (const text of operatorTexts) {
      await refuses(`${name}=${encodeURIComponent(text)}`, isValue(text, schema) ? [200, 400, 404] : [400])
    }
    if (schema.type === 'integer') for (const number of oddNumbers) await refuses(`${name}=${encodeURIComponent(number)}`, [400])
  })
  t.ok(tried > 500)
  t.strictSame(wrong.slice(0, 20), [])
  t.strictSame(changes(before, await dataOf(OURS)), [])
})

t.test('no operation takes a query that it does not know', async (t) => {
  const wrong: string[] = []
  const queries = [
    'a[$ne]=1', '$where=1', '[$ne]', 'tenantId=other', '_id=1', 'admin=true', '__proto__=1', 'constructor=1', '__proto__[x]=1', 'toString=1', 'x=%ff', 'x=%', '=',
    '%00=1', 'access_token=x'
  ]
  await each(operations, async (operation) => {
    const asked = requestOf(operation)
    for (const query of queries) {
      const { status } = await ask(owner, withQuery(asked, query))
      if (status !== 400) wrong.push(`${operation.id} ?${query}: ${status}`)
    }
  })
  t.strictSame(wrong.slice(0, 20), [])
})

t.test('a header is one text, and means nothing else', async (t) => {
  const wrong: string[] = []
  const before = await dataOf(OURS)
  const declared = operations.flatMap((operation) => operation.parameters.filter(({ in: where }) => where === 'header').map(({ name }) => ({ operation, name })))
  await each(declared, async ({ operation, name }) => {
    const asked = requestOf(operation)
    // A body that does not fit, so that a key which fits makes nothing.
    const harmless = asked.body === undefined || name === 'if-match' ? asked : { ...asked, body: '{"wrong":1}' }
    for (const text of [...operatorTexts, '"$ne"', 'W/"1"', '"1" or 1=1', '*/*', "'; drop", '../../x', 'a'.repeat(5000)]) {
      const { status } = await ask(owner, { ...harmless, headers: { ...harmless.headers, [name]: text } })
      const isRead = operation.method === 'GET' && status === 200
      if (!isRead && ![400, 404, 409, 412].includes(status)) wrong.push(`${operation.id}, ${name}: ${text}: ${status}`)
    }
  })
  t.strictSame(wrong.slice(0, 20), [])
  t.strictSame(changes(before, await dataOf(OURS)), [])
})

t.test('a credential is one text, and means nothing else', async (t) => {
  const wrong: string[] = []
  const jwt = (claims: object) => `Bearer ${signJwt({ sub: 'x', tid: OURS, scope: 'admin', ...claims })}`
  const [head, body] = owner.headers['authorization']!.split('.') as [string, string]
  const credentials: ReadonlyArray<Record<string, string | string[]>> = [
    ...operatorTexts.flatMap((text): Array<Record<string, string>> => [{ 'x-api-key': text }, { authorization: text }, { authorization: `Bearer ${text}` }]),
    { 'x-api-key': ['a', 'b'] }, { authorization: 'Bearer pk_........_................................' },
    { authorization: 'Bearer undefined' }, { authorization: 'Bearer null' }, { authorization: 'Basic YWRtaW46YWRtaW4=' }, { authorization: `${head}.${body}.` },
    { authorization: jwt({ sub: { $ne: null } }) }, { authorization: jwt({ tid: { $gt: '' } }) }, { authorization: jwt({ tid: [OURS] }) },
    { authorization: jwt({ scope: { $ne: null } }) }, { authorization: jwt({ sub: ['x'] }) }, { authorization: jwt({ tid: '$where' }) }, { authorization: jwt({ tid: '' }) }
  ]
  await each(operations.filter(({ scopes }) => scopes.length > 0), async (operation) => {
    const asked = requestOf(operation)
    for (const headers of credentials) {
      const { status } = await ask(anonymous, { ...asked, headers: { ...asked.headers, ...headers } })
      if (status !== 401) wrong.push(`${operation.id}, ${JSON.stringify(headers)}: ${status}`)
    }
  })
  t.strictSame(wrong.slice(0, 20), [])
})

t.test('nothing came out', async (t) => { await nothingCameOut(t) })
