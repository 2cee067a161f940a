import { execFile } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t, { type Test } from 'tap'
import { breaksOf } from '../../src/contract/breaks/breaks.ts'
import { holdAgainstHistory, promiseOf, report } from '../../src/contract/breaks/history.ts'
import { type Document } from '../../src/contract/document.ts'
import { temporaryFolder } from '../helper.ts'

interface Parts { [name: string]: unknown }

const ref = (name: string) => ({ $ref: `#/components/schemas/${name}` })
const json = (schema: object) => ({ content: { 'application/json': { schema } } })

/** A document with two components for what clients send, and for what they get, and one operation for both. */
const document = (sent: object, got: object = {}): Parts => ({
  info: { version: '0.1.0' },
  security: [{ key: [] }, { token: [] }],
  paths: {
    '/things': {
      post: {
        operationId: 'createThing',
        'x-scopes': ['things', 'admin'],
        parameters: [{ in: 'query', name: 'dry', schema: { type: 'boolean' } }, { in: 'header', name: 'X-Trace', schema: { type: 'string' } }],
        requestBody: { required: false, ...json(ref('Sent')) },
        responses: {
          201: { description: 'Made.', headers: { location: { $ref: '#/components/headers/location' } }, ...json(ref('Got')) },
          404: { $ref: '#/components/responses/NotFound' }
        }
      },
      get: {
        operationId: 'followThings',
        responses: { 200: { description: 'Events.', content: { 'text/event-stream': { schema: ref('Event') } } } }
      }
    },
    '/public': { get: { operationId: 'look', security: [], responses: { 200: { description: 'Open.' } } } }
  },
  webhooks: { made: { post: { operationId: 'onMade', requestBody: json(ref('Got')), responses: {} } } },
  components: {
    headers: { location: {} },
    responses: { NotFound: { description: 'Not there.', headers: { 'x-request-id': {} } } },
    schemas: { Sent: sent, Got: got, Event: { anyOf: [ref('A'), ref('B')] }, A: { type: 'object', required: ['a'] }, B: { type: 'object', required: ['b'] } }
  }
})

const between = (before: Parts, after: Parts) => breaksOf(before as unknown as Document, after as unknown as Document)
/** Sets what is at the place of each name, or takes it away. */
function change (document: Parts, changes: Parts): Parts {
  for (const [place, value] of Object.entries(changes)) {
    const steps = place.replace(/^post/, 'paths./things.post').split('.')
    const last = steps.pop()!
    const parent = steps.reduce((part, step) => part[step] as Parts, document)
    if (value === undefined) delete parent[last]
    else parent[last] = value
  }
  return document
}

t.test('operations', async (t) => {
  const cases: Array<[change: string, changes: Parts, expected: string[]]> = [
    ['nothing', {}, []],
    ['an operation is added', { 'paths./others': { get: { operationId: 'others', responses: {} } } }, []],
    ['a path is removed', { 'paths./things': undefined }, ['POST /things is gone', 'GET /things is gone']],
    ['a method is removed', { 'paths./things.get': undefined }, ['GET /things is gone']],
    ['another name', { 'post.operationId': 'makeThing' }, ['POST /things is called makeThing and not createThing: so are its methods in clients']],
    ['a parameter that may be left out is added', { 'post.parameters.2': { in: 'query', name: 'new', schema: {} } }, []],
    ['a required parameter is added', { 'post.parameters.2': { in: 'query', name: 'new', required: true, schema: {} } }, ['POST /things needs the query new now']],
    ['a parameter becomes required', { 'post.parameters.0.required': true }, ['POST /things needs the query dry now']],
    ['a parameter is removed', { 'post.parameters': [{ in: 'query', name: 'dry', schema: { type: 'boolean' } }] }, ['POST /things does not take the header x-trace any more']],
    ['all of them', { 'post.parameters': undefined }, ['POST /things does not take the query dry any more', 'POST /things does not take the header x-trace any more']],
    ['a header is spelled otherwise', { 'post.parameters.1.name': 'x-trace' }, []],
    ['a parameter is narrowed', { 'post.parameters.1.schema.maxLength': 5 }, ['POST /things header x-trace has maxLength 5 and not null (in requests)']],
    ['a body becomes required', { 'post.requestBody.required': true }, ['POST /things needs a body now']],
    ['a body is removed', { 'post.requestBody': undefined }, ['POST /things does not take a body any more']],
    ['a body that is needed is added', { 'paths./things.get.requestBody': { required: true, content: {} } }, ['GET /things needs a body now']],
    ['a type of bodies is added', { 'post.requestBody.content.text/plain': { schema: {} } }, []],
    ['a type of bodies is removed', { 'post.requestBody.content.application/json': undefined }, ['POST /things body is not application/json any more']],
    ['a status is added', { 'post.responses.202': { description: 'Later.' } }, []],
    ['a success is removed', { 'post.responses.201': undefined }, ['POST /things does not answer 201 any more']],
    ['a failure is removed', { 'post.responses.404': undefined }, []],
    ['a type of answers is removed', { 'post.responses.201.content': undefined }, ['POST /things 201 is not application/json any more']],
    ['a header of answers is removed', { 'post.responses.201.headers': undefined }, ['POST /things 201 is without the header location']],
    ['one of a shared answer', { 'components.responses.NotFound.headers': {} }, ['POST /things 404 is without the header x-request-id']],
    ['a way to be let in is added', { 'post.security': [{ key: [] }, { token: [] }, { cookie: [] }] }, []],
    ['a way to be let in is removed', { 'post.security': [{ token: [] }] }, ['POST /things does not take key as a credential any more']],
    ['no credential is needed any more', { 'post.security': [{}] }, []],
    ['for none at all', { security: undefined }, []],
    ['what was public is not', { 'paths./public.get.security': undefined }, ['GET /public does not take nothing as a credential any more']],
    ['a scope is added', { 'post.x-scopes': ['things', 'admin', 'more'] }, []],
    ['a scope is removed', { 'post.x-scopes': ['admin'] }, ['POST /things is not for the scope things any more']],
    ['an event is added', { 'components.schemas.C': {}, 'components.schemas.Event.anyOf.2': ref('C') }, []],
    ['an event has other data', { 'components.schemas.A': { type: 'string' } }, ['A may be string now (in responses)', 'A may be without a now (in responses)']],
    ['events are of one kind', { 'components.schemas.Event': ref('A') }, []],
    ['a webhook is removed', { webhooks: undefined }, ['POST made is gone']],
    ['a component is renamed', { 'components.schemas.B': undefined, 'components.schemas.Z': { type: 'object', required: ['b'] }, 'components.schemas.Event.anyOf.1': ref('Z') },
      ['the component B is gone, and what generators make of it']]
  ]
  for (const [name, changes, expected] of cases) {
    t.same(between(document({ type: 'object' }), change(document({ type: 'object' }), changes)), expected, name)
  }
})

const text = { type: 'string' }
const object = (properties: object, rest: object = {}) => ({ type: 'object', properties, ...rest })

t.test('what clients send', async (t) => {
  const cases: Array<[change: string, before: object, after: object, expected: string[]]> = [
    ['a member is added', object({}), object({ a: text }), []],
    ['a required member is added', object({}), object({ a: text }, { required: ['a'] }), ['Sent must have a now']],
    ['a member becomes required', object({ a: text }), object({ a: text }, { required: ['a'] }), ['Sent must have a now']],
    ['a member may be left out', object({ a: text }, { required: ['a'] }), object({ a: text }), []],
    ['a member is removed', object({ a: text }), object({}), ['Sent/a is gone']],
    ['other members are refused', object({}), object({}, { additionalProperties: false }), ['Sent does not take other members any more']],
    ['other members are taken', object({}, { additionalProperties: false }), object({}), []],
    ['other members are of one kind', object({}), object({}, { additionalProperties: text }), ['Sent/* is of another kind']],
    ['other members are narrowed', object({}, { additionalProperties: text }), object({}, { additionalProperties: { type: 'string', maxLength: 3 } }), ['Sent/* has maxLength 3 and not null']],
    ['a type is taken away', { type: ['string', 'null'] }, text, ['Sent may not be null any more']],
    ['a type is added', text, { type: ['string', 'null'] }, []],
    ['a type is demanded', {}, text, ['Sent must be string now']],
    ['any number where whole ones were', { type: 'integer' }, { type: 'number' }, []],
    ['whole numbers only', { type: 'number' }, { type: 'integer' }, ['Sent may not be number any more']],
    ['a value is added', { enum: ['a'] }, { enum: ['a', 'b'] }, []],
    ['a value is taken away', { enum: ['a', 'b'] }, { const: 'a' }, ['Sent may not be "b" any more']],
    ['values are listed', text, { ...text, enum: ['a'] }, ['Sent must be one of "a" now']],
    ['all values are taken', { ...text, enum: ['a'] }, text, []],
    ['a bound is wider', { minimum: 2, maxLength: 5 }, { minimum: 1, maxLength: 6 }, []],
    ['a lower bound is narrower', { minimum: 1 }, { minimum: 2 }, ['Sent has minimum 2 and not 1']],
    ['an upper bound is narrower', { maxItems: 5 }, { maxItems: 4 }, ['Sent has maxItems 4 and not 5']],
    ['a bound goes', { maxItems: 5 }, {}, []],
    ['a pattern goes', { pattern: 'a' }, {}, []],
    ['a pattern is another', { pattern: 'a' }, { pattern: 'b' }, ['Sent has pattern "b" and not "a"']],
    ['items must differ', { uniqueItems: false }, { uniqueItems: true }, ['Sent has uniqueItems true and not false']],
    ['a format is demanded', text, { ...text, format: 'uri' }, ['Sent has the format "uri" and not null']],
    ['a format goes', { ...text, format: 'uri' }, text, []],
    ['another default', { default: 1 }, { default: 2 }, ['Sent has another default than 1']],
    ['a default is told', {}, { default: 2 }, []],
    ['items are narrowed', { items: text }, { items: { type: 'integer' } }, ['Sent[] may not be string any more']],
    ['items are of one kind', {}, { items: text }, ['Sent[] is of another kind']],
    ['an alternative is added', text, { anyOf: [text, { type: 'null' }] }, []],
    ['an alternative is taken away', { anyOf: [text, { type: 'null' }] }, text, ['Sent null is not taken any more']],
    ['an alternative is narrowed', { anyOf: [text, { type: 'null' }] }, { anyOf: [{ ...text, maxLength: 2 }, { type: 'null' }] }, ['Sent has maxLength 2 and not null']],
    ['a keyword without a rule', {}, { not: text }, ['Sent has not {"type":"string"} and not null']],
    ['words for people', { title: 'a', description: 'b', examples: [1] }, { description: 'c', 'x-note': 'd' }, []]
  ]
  for (const [change, before, after, expected] of cases) {
    t.same(between(document(before), document(after)), expected.map((line) => `${line} (in requests)`), change)
  }
})

t.test('what clients get', async (t) => {
  const open = { type: 'string', enum: ['a'], 'x-extensible-enum': ['a'] }
  const cases: Array<[change: string, before: object, after: object, expected: string[]]> = [
    ['a member is added', object({}, { additionalProperties: false }), object({ a: text }), []],
    ['a member is removed', object({ a: text }), object({}), ['Got/a is gone']],
    ['a member may be missing', object({ a: text }, { required: ['a'] }), object({ a: text }), ['Got may be without a now']],
    ['a member is always there', object({ a: text }), object({ a: text }, { required: ['a'] }), []],
    ['other members are of another kind', object({}, { additionalProperties: text }), object({}), ['Got/* is of another kind']],
    ['a type is added', text, { type: ['string', 'null'] }, ['Got may be null now']],
    ['a type is taken away', { type: ['string', 'null'] }, text, []],
    ['whole numbers only', { type: 'number' }, { type: 'integer' }, []],
    ['anything', text, {}, ['Got may be anything now']],
    ['a value is added', { enum: ['a'] }, { enum: ['a', 'b'] }, ['Got may be "b" now']],
    ['a value is added where that was told', open, { ...open, enum: ['a', 'b'] }, []],
    ['a value is taken away', { enum: ['a', 'b'] }, { enum: ['a'] }, []],
    ['any word', { ...text, enum: ['a'] }, text, ['Got may be any word now']],
    ['bounds are of no account', { maxLength: 5, pattern: 'a' }, { maxLength: 6 }, []],
    ['a format goes', { ...text, format: 'date-time' }, text, ['Got has the format null and not "date-time"']],
    ['a format is added', text, { ...text, format: 'date-time' }, []],
    ['items are open', { items: text }, {}, ['Got[] is of another kind']],
    ['an alternative is added', text, { anyOf: [text, { type: 'integer' }] }, ['Got may be integer now']],
    ['anything beside it', { anyOf: [text, { type: 'null' }] }, { anyOf: [text, {}] }, ['Got may be any value now']],
    ['an alternative is taken away', { oneOf: [text, { type: 'integer' }] }, text, []],
    ['a part that holds itself', object({ next: ref('Got'), a: text }), object({ next: ref('Got') }), ['Got/a is gone']],
    ['what was written out is a component', object({ a: object({ b: text }, { required: ['b'] }) }), object({ a: ref('B') }), ['Got/a/b is gone']],
    ['a part with one alternative', { anyOf: [ref('A')] }, ref('B'), ['A may be without a now']]
  ]
  for (const [change, before, after, expected] of cases) {
    t.same(between(document({}, before), document({}, after)), expected.map((line) => `${line} (in responses)`), change)
  }
})

t.test('what a version promises', async (t) => {
  t.same(['0.1.0', '0.1.9', '0.2.0', '1.0.0', '1.9.0', '2.0.0-rc.1'].map(promiseOf), ['0.1', '0.1', '0.2', '1', '1', '2'])
})

/** A checkout whose history has these documents. */
async function checkout (t: Test, documents: Parts[]) {
  const folder = await temporaryFolder(t)
  const git = async (...args: string[]) => await promisify(execFile)('git', ['-c', 'user.name=test', '-c', 'user.email=test@example.org', ...args], { cwd: folder })
  const write = async (document: Parts) => await writeFile(join(folder, 'openapi.json'), JSON.stringify(document))
  await git('init', '--quiet')
  for (const document of documents) {
    await write(document)
    await git('add', 'openapi.json')
    await git('commit', '--quiet', '--message', 'another document')
  }
  return { folder, git, write }
}

t.test('a document is held against those before it', async (t) => {
  const [narrow, wide] = [document({}, object({})), document({}, object({ a: text }))]
  const later = { ...narrow, info: { version: '0.2.0' } }

  const { folder, git, write } = await checkout(t, [narrow, wide, { ...wide, info: { version: '0.1.1' } }])
  t.same(report(await holdAgainstHistory(folder)), { holds: true, text: 'Earlier documents of version 0.1 that hold: 3.' })

  await write(narrow)
  const { holds, text: told } = report(await holdAgainstHistory(folder))
  t.equal(holds, false, 'also by what is not committed')
  t.match(told, /miss something[^]*Got\/a is gone[^]*Got\/a is gone[^]*raise info\.version beyond 0\.1/)

  await write(later)
  t.match(report(await holdAgainstHistory(folder)), { holds: true, text: /^Earlier documents of version 0\.2 that hold: 0\.\nVersion 0\.2 breaks with 0\.1, as a new one may:\n {2}Got\/a is gone/ })

  await git('rm', '--quiet', '--cached', 'openapi.json')
  await git('commit', '--quiet', '--message', 'no document')
  await write(wide)
  t.match(report(await holdAgainstHistory(folder)), { holds: true, text: 'Earlier documents of version 0.1 that hold: 3.' }, 'what was put back is forgiven')
})

t.test('where there is no history, it says so', async (t) => {
  const folder = await temporaryFolder(t)
  await writeFile(join(folder, 'openapi.json'), JSON.stringify(document({})))
  t.match(report(await holdAgainstHistory(folder)), { holds: true, text: /NOT ALL IS CHECKED: this is no checkout of git/ })

  const { folder: empty, git, write } = await checkout(t, [])
  await write(document({}))
  await git('commit', '--quiet', '--allow-empty', '--message', 'nothing')
  t.match(report(await holdAgainstHistory(empty)).text, /NOT ALL IS CHECKED: openapi\.json has never been committed/)

  const { folder: whole } = await checkout(t, [document({}), document({ type: 'object' })])
  const cut = await temporaryFolder(t)
  await promisify(execFile)('git', ['clone', '--quiet', '--depth', '1', `file://${whole}`, cut])
  t.match(report(await holdAgainstHistory(cut)).text, /NOT ALL IS CHECKED: the history is cut off/)
})
