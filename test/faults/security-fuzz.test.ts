import fc from 'fast-check'
import t from 'tap'
import { assembled, renamed, validParts } from '../security/requests.ts'
import { referencesOf } from '../security/names.ts'
import { operatorTexts, operators } from '../security/wrong-values.ts'
import { ask, changes, dataOf, description, nothingCameOut, operations, OURS, place, strangePlace, stranger } from '../security/world.ts'

const RUNS = Number(process.env['FUZZ_RUNS'] ?? 2000)
const seed = Number(process.env['FUZZ_SEED'] ?? Date.now() % 2 ** 31)

const value = fc.oneof(fc.constantFrom(...operators), fc.constantFrom(...operatorTexts), fc.jsonValue(), fc.string({ unit: 'binary', maxLength: 300 }),
  fc.constantFrom(...Object.values(place).filter((name) => typeof name === 'string')))

const request = fc.record({
  operation: fc.constantFrom(...operations),
  foreign: fc.array(fc.boolean(), { minLength: 8, maxLength: 8 }),
  members: fc.dictionary(fc.oneof(fc.constantFrom('tenantId', '_id', 'userId', 'configId', '$set', 'message', 'purpose', 'metadata'), fc.string({ maxLength: 20 })), value, { maxKeys: 3 }),
  query: fc.dictionary(fc.constantFrom('cursor', 'limit', 'userId', 'configId', 'q', 'a[$ne]', 'branch', 'offset'), fc.string({ unit: 'binary', maxLength: 60 }), { maxKeys: 2 }),
  segment: fc.option(fc.string({ unit: 'binary', maxLength: 40 }), { freq: 4 })
})

t.test(`${RUNS} requests that nobody thought of, with the seed ${seed}`, async (t) => {
  const before = await dataOf(OURS)
  await fc.assert(fc.asyncProperty(request, async ({ operation, foreign, members, query, segment }) => {
    let parts = validParts(description, operation, strangePlace)
    referencesOf(description, operation).forEach((reference, i) => {
      if (foreign[i] && reference.kind !== 'cursor') parts = renamed(parts, reference, place[reference.kind])
    })
    const body = typeof parts.body === 'object' ? { ...parts.body, ...members } : parts.body
    const params = segment === null ? parts.params : Object.fromEntries(Object.entries(parts.params).map(([name]) => [name, segment.toWellFormed()]))
    const wellFormed = Object.fromEntries(Object.entries(query).map(([name, text]) => [name, text.toWellFormed()]))
    const { status } = await ask(stranger, assembled(operation, { ...parts, params, query: { ...parts.query, ...wellFormed }, ...(body !== undefined && { body }) }))
    return status < 500
  }), { numRuns: RUNS, seed, endOnFailure: true })
  t.strictSame(changes(before, await dataOf(OURS)), [])
})

t.test('nothing came out', async (t) => { await nothingCameOut(t) })
