import t from 'tap'
import { scopes } from '../../src/auth/principal.ts'
import { nobody } from '../edge.ts'
import { type Operation } from './document.ts'
import { each } from './each.ts'
import { type Reference, referencesOf } from './names.ts'
import { type Place, unknownLike } from './place.ts'
import { assembled, type Parts, refused, renamed, validParts } from './requests.ts'
import { type Heard } from './wire.ts'
import {
  anonymous, ask, type Caller, changes, dataOf, description, holder, keyHolder, newPlace, nothingCameOut, operations, OURS, owner, place, strangePlace, stranger, THEIRS, visitor
} from './world.ts'

const rank = ({ method, path }: Operation) => ({ GET: -200, DELETE: -path.split('/').length })[method] ?? -100
// What is deleted goes last, and what is within or made with something else before that.
const ordered = operations.toReversed().toSorted((a, b) => rank(a) - rank(b))

const own = new Map<string, string>()

/** What `cursor` is for an operation: how its owner would go on. */
async function cursorFor (operation: Operation): Promise<string> {
  const parts = validParts(description, operation, place)
  const isList = operation.parameters.some(({ name }) => name === 'limit')
  const { text } = await ask(owner, assembled(operation, isList ? { ...parts, query: { ...parts.query, limit: '1' } } : parts))
  const [, found = operation.id === 'listMembers' ? Buffer.from(place.member).toString('base64url') : undefined] = /"(?:nextC|c)ursor":"([^"]+)"/.exec(text) ?? /^id: (.+)$/m.exec(text) ?? []
  if (found === undefined) throw new Error(`${operation.id}: nothing to go on from in ${text.slice(0, 300)}`)
  return found
}

const nameIn = (place: Place, operation: Operation, { kind }: Reference) => kind === 'cursor' ? own.get(operation.id)! : place[kind]

/** What can be told apart: all but what is the caller's own, the time, and the names that were asked for. */
function told ({ status, headers, text }: Heard, hasCursor = false): string {
  const { date: _date, 'x-request-id': _id, 'content-length': _length, connection: _connection, 'keep-alive': _alive, ...shown } = headers
  const same = (text: string) => text
    .replaceAll(/"(requestId|instance|nextCursor|cursor|subject)":"[^"]*",?/g, '')
    .replaceAll(/[0-9a-f]{24}/g, '<id>')
    .replaceAll(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, '<time>')
  // A cursor of somebody else's is a place in one's own list: what comes after that is one's own.
  const isOwn = String(headers['content-type']).startsWith('text/event-stream') || (hasCursor && status === 200)
  const body = isOwn ? '' : text
  return same(`${status} ${Object.entries(shown).map(([name, value]) => `${name}: ${String(value)}`).join(', ')} ${body}`)
}

t.test('a cursor for each operation that takes one', async (t) => {
  for (const operation of operations) {
    if (referencesOf(description, operation).some(({ kind }) => kind === 'cursor')) own.set(operation.id, await cursorFor(operation))
  }
  t.ok(own.size >= 8)
})

t.test('the owner may do everything, and is told what the document says', async (t) => {
  const wrong: string[] = []
  const spare = await newPlace()
  for (const operation of ordered.filter(({ id }) => !refused.has(id))) {
    const here = operation.method === 'DELETE' ? spare : place
    const { status, text, headers } = await ask(owner, assembled(operation, validParts(description, operation, here)))
    if (status >= 300) wrong.push(`${operation.id}: say in test/security/requests.ts what it takes; ${status} ${text}`)
    const type = String(headers['content-type']).replace(/;.*/, '')
    const schema = operation.responses[status]?.content?.[type]?.schema
    if (!schema && status < 300 && text !== '') wrong.push(`${operation.id}: ${status} ${type} is not in the document`)
    if (schema && type === 'application/json') {
      wrong.push(...description.undeclared(JSON.parse(text), schema).map((member) => `${operation.id}: ${member} is not in the document`))
    }
  }
  t.strictSame(wrong.slice(0, 20), [])
})

const naming = operations.map((operation) => ({ operation, references: referencesOf(description, operation) }))
  .filter(({ references }) => references.length > 0)

/** Requests that name what is not the caller's, and the same with names of nothing. */
function * foreignRequests (operation: Operation, references: readonly Reference[], callers: Place, owners: Place) {
  const asOwn = validParts(description, operation, callers)
  const asOwner = references.reduce((parts, reference) => renamed(parts, reference, nameIn(owners, operation, reference)),
    validParts(description, operation, callers))
  // Of what is named in a path, the caller's own audit log knows that it was asked for.
  const unknown = (reference: Reference) =>
    unknownLike(reference.kind, nameIn(owners, operation, reference), reference.in === 'query' ? 'e'.repeat(24) : nobody)
  const nothing = (parts: Parts, reference: Reference) => renamed(parts, reference, unknown(reference))
  const accepts: Array<Record<string, string>> = operation.streams && operation.id !== 'followSession' ? [{}, { accept: 'text/event-stream' }] : [{}]
  for (const headers of accepts) {
    const withHeaders = (parts: Parts) => ({ ...parts, headers: { ...parts.headers, ...headers } })
    yield { label: 'all', foreign: withHeaders(asOwner), unknown: withHeaders(references.reduce(nothing, asOwner)) }
    for (const reference of references) {
      const foreign = renamed(asOwn, reference, nameIn(owners, operation, reference))
      yield { label: `${reference.in} ${reference.name}`, foreign: withHeaders(foreign), unknown: withHeaders(nothing(asOwn, reference)) }
    }
  }
}
/** What everybody in a tenant may see who may chat. */
const forAll: ReadonlySet<string> = new Set(['getModel'])

const isInPath = ({ in: where, kind }: Reference) => where === 'path' && kind !== 'user' && kind !== 'tenant'

t.test('what is another tenant\'s cannot be told from what does not exist', async (t) => {
  const before = await dataOf(OURS)
  const wrong: string[] = []
  const withKey = await keyHolder('a stranger with a key', THEIRS, ['admin'])
  let compared = 0
  await each(naming, async ({ operation, references }) => {
    for (const { label, foreign, unknown } of foreignRequests(operation, references, strangePlace, place)) {
      for (const caller of label === 'all' ? [stranger, withKey] : [stranger]) {
        const [one, other] = [await ask(caller, assembled(operation, foreign)), await ask(caller, assembled(operation, unknown))]
        compared++
        const hasCursor = references.some(({ kind }) => kind === 'cursor')
        const [toldOfOne, toldOfOther] = [told(one, hasCursor), told(other, hasCursor)]
        if (toldOfOne !== toldOfOther) wrong.push(`${operation.id}, ${label}, ${caller.name}: ${toldOfOne}, not ${toldOfOther}`)
        const isNamedInPath = label === 'all' ? references.some(isInPath) : references.some((reference) => isInPath(reference) && label === `path ${reference.name}`)
        if (isNamedInPath && one.status !== 404) wrong.push(`${operation.id}, ${label}, ${caller.name}: ${one.status} ${one.text}`)
      }
    }
  })
  t.strictSame(wrong.slice(0, 20), [])
  t.ok(compared > 100, `${compared} pairs`)
  t.strictSame(changes(before, await dataOf(OURS)), [], 'and nothing has changed')
})

t.test('within a tenant, other scopes and other users are told the same of what is there and what is not', async (t) => {
  const others = [holder('another user', { tid: OURS, scope: 'chat' }), await visitor(place.config), await visitor(nobody)]
  const chatKey = await keyHolder('a chat key', OURS, ['chat'])
  const before = await dataOf(OURS)
  const wrong: string[] = []
  await each(naming, async ({ operation, references }) => {
    const foreign = references.reduce((parts, reference) => renamed(parts, reference, nameIn(place, operation, reference)),
      validParts(description, operation, place))
    const unknown = references.reduce((parts, reference) =>
      renamed(parts, reference, unknownLike(reference.kind, nameIn(place, operation, reference))), foreign)
    const seen = async (caller: Caller, expected: number | undefined) => {
      const [one, other] = [await ask(caller, assembled(operation, foreign)), await ask(caller, assembled(operation, unknown))]
      if (told(one) !== told(other)) wrong.push(`${operation.id}, ${caller.name}: ${told(one)}, not ${told(other)}`)
      if (expected !== undefined && one.status !== expected) wrong.push(`${operation.id}, ${caller.name}: ${one.status}, not ${expected}`)
    }
    if (operation.scopes.length === 0) return
    const rest = scopes.filter((scope) => scope !== 'admin' && !operation.scopes.includes(scope)).join(' ')
    await seen(holder('without the scope', { tid: OURS, scope: rest }), 403)
    await seen(anonymous, 401)
    if (!operation.scopes.includes('chat')) return
    if (forAll.has(operation.id)) return
    for (const caller of others) await seen(caller, references.some(isInPath) ? 404 : undefined)
    // A key speaks for users elsewhere, and has none of its own here.
    if (operation.id !== 'receiveMessage') await seen(chatKey, 403)
  })
  t.strictSame(wrong.slice(0, 20), [])
  t.strictSame(changes(before, await dataOf(OURS)), [], 'and nothing has changed')
})

t.test('a key that makes a request safe to repeat is its tenant\'s own', async (t) => {
  for (const operation of operations.filter(({ parameters }) => parameters.some(({ name }) => name === 'idempotency-key'))) {
    const headers = { 'idempotency-key': `the same for all ${operation.id}`.replaceAll(' ', '-') }
    const asked = async (caller: Caller, here: Place) =>
      await ask(caller, assembled(operation, { ...validParts(description, operation, here), headers }))
    const [ours, theirs] = [await asked(owner, place), await asked(stranger, strangePlace)]
    t.match([ours.status, theirs.status], [/20\d/, /20\d/], operation.id)
    t.equal(theirs.headers['idempotency-replayed'], undefined, operation.id)
  }
})

t.test('what a stranger lists after all that is their own', async (t) => {
  const lists = operations.filter(({ parameters, scopes }) => !scopes.includes('platform') && parameters.some(({ name }) => name === 'limit'))
  for (const operation of lists) {
    const { query, ...parts } = validParts(description, operation, strangePlace)
    const { status } = await ask(stranger, assembled(operation, { ...parts, query: { ...query, limit: '50' } }))
    t.equal(status, 200, operation.id)
  }
})

t.test('nothing came out', async (t) => { await nothingCameOut(t) })
