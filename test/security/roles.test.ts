import t from 'tap'
import { type Role, type Scope, scopes, scopesOf } from '../../src/auth/principal.ts'
import { nobody } from '../edge.ts'
import { type Operation } from './document.ts'
import { each } from './each.ts'
import { anonymous, ask, type Caller, changes, dataOf, holder, keyHolder, nothingCameOut, operations, OURS, place, visitor } from './world.ts'

interface Someone { readonly caller: Caller, readonly covered: readonly string[] }

const withScopes = (name: string, ...covered: string[]): Someone => ({ caller: holder(name, { tid: OURS, scope: covered.join(' ') }), covered })
const withKey = async (scope: Scope): Promise<Someone> => ({ caller: await keyHolder(`a key with ${scope}`, OURS, [scope]), covered: [scope] })

const everybody: readonly Someone[] = [
  ...Object.entries(scopesOf).map(([role, covered]) => withScopes(role satisfies string as Role, ...covered)),
  ...await Promise.all(scopes.map(withKey)),
  ...['Admin', 'ADMIN', 'admin,x', '*', 'toString', '__proto__', 'platform:admin', 'account'].map((scope): Someone => ({ ...withScopes(`the scope ${scope}`, scope), covered: [] })),
  withScopes('no scope'),
  { caller: await visitor(place.config), covered: ['chat'] },
  { caller: anonymous, covered: [] }
]

const mayDo = ({ covered }: Someone, { scopes: needed }: Operation) => needed.length === 0 ||
  needed.some((scope) => covered.includes(scope) || (!['platform', 'account'].includes(scope) && covered.includes('admin')))

const isWrong = ({ method, path }: Operation) => ({ method, path: `${path.replaceAll(/\{\w+\}/g, nobody)}?wrong=1` })

t.test('each operation is for those whom its scopes name, and for nobody else', async (t) => {
  const wrong: string[] = []
  let asked = 0
  const before = await dataOf(OURS)
  for (const someone of everybody) {
    await each(operations, async (operation) => {
      // Who may is told of the query, which no operation takes; who may not is not told anything of it.
      const { status } = await ask(someone.caller, isWrong(operation))
      const refusal = someone.caller === anonymous ? 401 : 403
      // Who has no credential may still have signed the body, which is looked at last.
      const maySign = operation.id === 'receiveMessage' && someone.caller === anonymous
      const expected = maySign || mayDo(someone, operation) ? [400, 404] : [refusal]
      asked++
      if (!expected.includes(status)) wrong.push(`${operation.id}, ${someone.caller.name}: ${status}, not ${expected.join(' or ')}`)
    })
  }
  t.strictSame(wrong.slice(0, 20), [])
  t.ok(asked > 20 * operations.length)
  t.strictSame(changes(before, await dataOf(OURS)), [])
})

t.test('a method that a resource does not know is refused, whoever asks and however', async (t) => {
  const paths = Map.groupBy(operations, ({ path }) => path)
  const methods = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'TRACE', 'PROPFIND', 'SEARCH', 'LOCK']
  const [admin, viewer] = ['admin', 'viewer'].map((role) => everybody.find(({ caller }) => caller.name === role)!.caller)
  const wrong: string[] = []
  await each([...paths], async ([path, known]) => {
    for (const method of methods.filter((name) => known.every(({ method }) => method !== name))) {
      for (const caller of [admin!, viewer!, anonymous]) {
        const { status, headers } = await ask(caller, { method, path: path.replaceAll(/\{\w+\}/g, nobody) })
        if (status !== 405 || typeof headers['allow'] !== 'string') wrong.push(`${method} ${path}, ${caller.name}: ${status}`)
      }
    }
    // The method is what the request line says.
    if (!known.some(({ method, scopes }) => method === 'GET' && scopes.length > 0)) return
    for (const name of ['x-http-method-override', 'x-http-method', 'x-method-override']) {
      const { status } = await ask(viewer!, { method: 'GET', path: `${path.replaceAll(/\{\w+\}/g, nobody)}?wrong=1&_method=DELETE`, headers: { [name]: 'DELETE' } })
      if (![400, 403, 404].includes(status)) wrong.push(`${path}, ${name}: ${status}`)
    }
  })
  t.strictSame(wrong.slice(0, 20), [])
})

t.test('nothing came out', async (t) => { await nothingCameOut(t) })
