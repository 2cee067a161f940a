import t from 'tap'
import { type Operation } from '../security/document.ts'
import { each } from '../security/each.ts'
import { assembled, validParts } from '../security/requests.ts'
import { anonymous, ask, changes, dataOf, description, nothingCameOut, operations, OURS, owner, place } from '../security/world.ts'

// How a path is read is the same for all methods.
const onePerPath = [...Map.groupBy(operations, ({ path }) => path).values()].map(([first]) => first!)
const guarded = onePerPath.filter(({ scopes }) => scopes.length > 0)

/** Whether any text can be the name of something. */
const isOpen = (pattern = '') => !/^\^\[[^\]]+\]\{\d+\}\$$/.test(pattern)

/** Whether the end of its path is any text, or a number, which is refused in another way. */
const isOpenEnded = ({ path, parameters }: Operation) => parameters.some(({ in: where, name, schema }) =>
  where === 'path' && path.endsWith(`{${name}}`) && isOpen(schema.pattern))

/** What looks nearly like `id` and is not. */
const near = (id: string): string[] => [
  id.toUpperCase().replace(/^[^A-F]*$/, 'A'.repeat(24)), `${id}.`, `${id}%20`, `%20${id}`, `${id}%00`, `${id}%0a`, `${id};x=1`, `${id},`, `${id}/`,
  `/${id}`, `.%2f${id}`, `..%2f${id}`, `%2e%2e%2f${id}`, `%252e%252e%252f${id}`, `..%5c${id}`, `${id}%2f`, `${id}%2f..`, `${id}%3f`, `${id}%23`,
  `${id.slice(1)}`, `${id}a`, id.repeat(10), 'a'.repeat(4000), `${id.slice(0, 23)}%EF%BC%91`, `${id}%e2%80%8b`, `%ff${id}`, '%', '%zz', '%c0%ae%c0%ae%c0%af',
  '%7B%22$ne%22:null%7D', '%5Bobject%20Object%5D', '$where', '$ne', '__proto__', 'constructor', 'null', 'undefined', '0', '-1', 'NaN', '*', '.', '..',
  '%F0%9F%98%80', '%ed%a0%80'
]

t.test('what is not exactly an identifier names nothing', async (t) => {
  const before = await dataOf(OURS)
  const wrong: string[] = []
  const named = onePerPath.flatMap((operation) => operation.parameters.filter((parameter) => parameter.in === 'path').map(({ name, schema }) => ({ operation, name, schema })))
  await each(named, async ({ operation, name, schema }) => {
    const parts = validParts(description, operation, place)
    const known = parts.params[name]!
    const isLiteral = schema.type === 'string' && isOpen(schema.pattern)
    for (const value of near(known).filter((value) => !isLiteral || /%00|%ed%a0|%ff|%c0|^%$|%zz|^a{4000}$/.test(value))) {
      const { status, text } = await ask(owner, assembled(operation, parts, { [name]: value }))
      // A number is checked as one.
      const isRefused = [404, 405, ...schema.type === 'integer' || isLiteral ? [400] : []].includes(status)
      if (!isRefused) wrong.push(`${operation.id}, ${name} ${value.slice(0, 100)}: ${status} ${text.slice(0, 200)}`)
    }
  })
  t.strictSame(wrong.slice(0, 20), [])
  t.strictSame(changes(before, await dataOf(OURS)), [], 'and nothing has changed')
})

t.test('there is one way to write a path, and headers do not change it', async (t) => {
  const wrong: string[] = []
  const before = await dataOf(OURS)
  await each(guarded, async (operation) => {
    const asked = assembled(operation, validParts(description, operation, place))
    // Who gets through to the operation is told of the query, which it does not take: 400.
    const path = asked.path.replace(/\?.*/, '')
    const root = path.split('/')[1]!
    const within = (other: string) => path.replace(`/${root}/`, other)
    const spellings = [
      `/${path}`, within(`/${root}//`), within(`//${root}/`), within(`/${root.toUpperCase()}/`), `/.${path}`, `/x/..${path}`,
      `/health/..${path}`, `/health/..;${path}`, `/..;${path}`, within(`/${root}%2f`), within(`/%${root.charCodeAt(0).toString(16)}${root.slice(1)}/x/../`),
      within(`/${root}/./`), within(`/${root}\\`), `/docs/..${path}`, `/docs/static/..%2f..${path}`, `/openapi.json/..${path}`,
      `${path}/`, `${path}//`,
      // A chatbot may have a full stop for a name.
      ...operation.id === 'listModels' ? [] : [`${path}/.`],
      ...isOpenEnded(operation) ? [] : [`${path};x`, `${path}%00`, `${path}%20`, `${path}.json`]
    ]
    for (const spelling of spellings) {
      for (const caller of [anonymous, owner]) {
        const { status, text } = await ask(caller, { ...asked, path: spelling.startsWith('/docs/static') ? spelling : `${spelling}?wrong=1` })
        const isRefused = [404, 405].includes(status) || (caller === anonymous ? status === 401 : text.includes('The path does not fit'))
        if (!isRefused) wrong.push(`${operation.id}, ${spelling}, ${caller.name}: ${status} ${text.slice(0, 200)}`)
      }
    }
    const absolute = await ask(anonymous, { ...asked, path: `http://evil.example${asked.path}` })
    if (absolute.status !== 401) wrong.push(`${operation.id}, in absolute form: ${absolute.status}`)
    const lies: Array<Record<string, string>> = [
      { host: 'x/?' }, { host: 'x/health?' }, { 'x-original-url': '/health' }, { 'x-rewrite-url': '/health' }, { 'x-forwarded-prefix': '/health' },
      { 'x-forwarded-for': '127.0.0.1', 'x-forwarded-host': 'localhost', 'x-real-ip': '127.0.0.1', forwarded: 'for=127.0.0.1' },
      { 'x-user-id': 'owner', 'x-tenant-id': OURS, 'x-scopes': 'admin', 'x-admin': 'true' }, { cookie: 'session=admin; token=admin' }
    ]
    for (const headers of lies) {
      const { status } = await ask(anonymous, { ...asked, headers })
      if (status !== 401 && status !== 400) wrong.push(`${operation.id}, ${JSON.stringify(headers)}: ${status}`)
    }
  })
  t.strictSame(wrong.slice(0, 20), [])
  t.strictSame(changes(before, await dataOf(OURS)), [], 'and nothing has changed')
})

t.test('nothing came out', async (t) => { await nothingCameOut(t) })
