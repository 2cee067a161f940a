import fc from 'fast-check'
import {
  Binary, Decimal128, Double, Int32, Long, MongoBulkWriteError, MongoClient, MongoServerError, ObjectId, Timestamp,
  type AnyBulkWriteOperation, type Collection, type Document
} from 'mongodb'
import { randomBytes } from 'node:crypto'
import t from 'tap'
import { startEmbeddedStore } from '../../src/embedded-mongo/index.ts'

/*
 * The same random commands go to the embedded store and to an independent server; documents, counts and error codes must be
 * the same. Where that server is not MongoDB and MongoDB's documentation says otherwise, the generator stays away:
 *
 * - `{$all: [null]}` matches a missing field ($all is an $and of equalities); SecantusDB: does not.
 * - `{'a.0': null}` does not match an empty array (a path that ends inside an array matches elements only); SecantusDB: does.
 * - `a.$[]` needs `a` to be there (BadValue); SecantusDB: changes nothing.
 * - Two operators on one path are a conflict whether or not a document matches; SecantusDB: only when one does.
 * - Two arrays in one compound index are refused (171) also when one is empty; SecantusDB: only when neither is.
 * - An `_id` of 1 cannot be set to true (66); SecantusDB: takes the one for the other.
 * - Several new fields of one update appear in lexicographic order (since MongoDB 5.0); SecantusDB: in the order given.
 */

const reference = process.env.MONGODB_URI
const TIME_LIMIT_MS = 6000

/** One step, run alike against both collections; what it answers is compared. */
interface Step {
  text: string
  run: (collection: Collection) => Promise<unknown>
}

const oids = Array.from({ length: 4 }, (_, i) => new ObjectId(`65000000000000000000000${i}`))

const number = fc.oneof(
  fc.integer({ min: -3, max: 6 }),
  fc.integer({ min: -3, max: 6 }).map((value) => new Double(value)),
  fc.constantFrom(0.5, 2.5, 2147483648, -1e300).map((value) => new Double(value)),
  fc.integer({ min: -3, max: 6 }).map((value) => Long.fromNumber(value)),
  fc.constantFrom('9007199254740993', '9007199254740992', '-4').map((value) => Long.fromString(value)),
  fc.constantFrom('1.5', '2', '3').map((value) => Decimal128.fromString(value))
)
const text = fc.constantFrom('', 'a', 'ab', 'b', 'zz', 'é', '𝒳')
const scalar = fc.oneof(
  { weight: 4, arbitrary: number },
  { weight: 3, arbitrary: text },
  fc.boolean(),
  fc.constant(null),
  fc.constantFrom(...oids),
  fc.constantFrom(0, 1000, 1.7e12).map((ms) => new Date(ms)),
  fc.constantFrom('', 'x', 'yy').map((bytes) => new Binary(Buffer.from(bytes))),
  fc.constantFrom(1, 2).map((i) => new Timestamp({ t: 5, i }))
)
const value = fc.oneof(
  { weight: 6, arbitrary: scalar },
  fc.array(scalar, { maxLength: 3 }),
  fc.record({ x: scalar, y: scalar }, { requiredKeys: [] }),
  fc.array(fc.record({ x: fc.integer({ min: 0, max: 3 }), y: text }, { requiredKeys: ['x'] }), { maxLength: 2 })
)
const document = fc.record({ a: value, b: value, c: scalar, n: number }, { requiredKeys: [] })
const id = fc.integer({ min: 0, max: 12 })
const path = fc.constantFrom('a', 'b', 'c', 'n', 'a.x', 'b.x', 'b.y')
const comparison = fc.constantFrom('$eq', '$gt', '$gte', '$lt', '$lte', '$ne')
const condition: fc.Arbitrary<Document> = fc.oneof(
  fc.tuple(path, scalar).map(([field, operand]) => ({ [field]: operand })),
  fc.tuple(path, comparison, scalar).map(([field, operator, operand]) => ({ [field]: { [operator]: operand } })),
  fc.tuple(path, fc.array(scalar, { maxLength: 3 })).map(([field, list]) => ({ [field]: { $in: list } })),
  fc.tuple(path, fc.array(scalar, { maxLength: 3 })).map(([field, list]) => ({ [field]: { $nin: list } })),
  fc.tuple(path, fc.boolean()).map(([field, exists]) => ({ [field]: { $exists: exists } })),
  fc.tuple(path, fc.integer({ min: 0, max: 2 })).map(([field, size]) => ({ [field]: { $size: size } })),
  fc.tuple(path, fc.constantFrom('string', 'number', 'array', 'null', 'int', 'object')).map(
    ([field, type]) => ({ [field]: { $type: type } })
  ),
  fc.tuple(path, number, number).map(([field, low, high]) => ({ [field]: { $gt: low, $lt: high } })),
  fc.tuple(path, number).map(([field, low]) => ({ [field]: { $elemMatch: { $gte: low } } })),
  fc.tuple(fc.constantFrom('a', 'b'), fc.integer({ min: 0, max: 3 })).map(
    ([field, x]) => ({ [field]: { $elemMatch: { x } } })
  ),
  fc.tuple(path, fc.array(scalar.filter((one) => one !== null), { minLength: 1, maxLength: 2 })).map(
    ([field, all]) => ({ [field]: { $all: all } })
  ),
  fc.tuple(path, fc.constantFrom('^a', 'b$', 'z')).map(([field, pattern]) => ({ [field]: { $regex: pattern } })),
  number.map((operand) => ({ 'a.0': operand })),
  id.map((_id) => ({ _id }))
)
const filter: fc.Arbitrary<Document> = fc.oneof(
  fc.constant({}),
  { weight: 4, arbitrary: condition },
  fc.tuple(condition, condition).map(([one, other]) => ({ $and: [one, other] })),
  fc.tuple(condition, condition).map(([one, other]) => ({ $or: [one, other] })),
  condition.map((one) => ({ $nor: [one] }))
)
const direction = fc.constantFrom(1 as const, -1 as const)
const sort = fc.tuple(fc.constantFrom('a', 'b', 'c', 'n', 'b.x'), direction, direction)
  .map(([field, one, other]): Record<string, 1 | -1> => ({ [field]: one, _id: other }))
const plainNumber = fc.oneof(
  fc.integer({ min: -3, max: 6 }),
  fc.constantFrom(0.5, 2.5).map((value) => new Double(value)),
  fc.integer({ min: 0, max: 5 }).map((value) => Long.fromNumber(value))
)
const field = fc.constantFrom('a', 'b', 'c', 'n', 'b.x', 'a.1')
const arrayField = fc.constantFrom('a', 'b')
const update: fc.Arbitrary<Document> = fc.oneof(
  fc.tuple(arrayField, value).map(([name, operand]) => ({ $set: { [name]: operand } })),
  fc.tuple(field, scalar).map(([name, operand]) => ({ $set: { [name]: operand } })),
  fc.tuple(field, plainNumber).map(([name, operand]) => ({ $inc: { [name]: operand } })),
  fc.tuple(field, plainNumber).map(([name, operand]) => ({ $mul: { [name]: operand } })),
  fc.tuple(field, scalar).map(([name, operand]) => ({ $min: { [name]: operand } })),
  fc.tuple(field, scalar).map(([name, operand]) => ({ $max: { [name]: operand } })),
  field.map((name) => ({ $unset: { [name]: '' } })),
  fc.tuple(arrayField, scalar).map(([name, operand]) => ({ $push: { [name]: operand } })),
  fc.tuple(arrayField, fc.array(number, { maxLength: 3 }), fc.integer({ min: -2, max: 3 }), direction)
    .map(([name, each, slice, order]) => ({ $push: { [name]: { $each: each, $slice: slice, $sort: order } } })),
  fc.tuple(arrayField, scalar).map(([name, operand]) => ({ $addToSet: { [name]: operand } })),
  fc.tuple(field, scalar).map(([name, operand]) => ({ $pull: { [name]: operand } })),
  fc.tuple(field, number).map(([name, operand]) => ({ $pull: { [name]: { $gte: operand } } })),
  fc.tuple(field, direction).map(([name, end]) => ({ $pop: { [name]: end } })),
  fc.constant({ $rename: { a: 'd' } }),
  fc.tuple(field, scalar).map(([name, operand]) => ({ $setOnInsert: { [name]: operand } })),
  fc.tuple(scalar, scalar).map(([one, other]) => ({ $set: { d: other, z: one } })),
  fc.tuple(scalar.filter((one) => typeof one !== 'boolean')).map(([operand]) => ({ $set: { _id: operand } }))
)
const index: fc.Arbitrary<[Record<string, 1 | -1>, Document]> = fc.tuple(
  fc.constantFrom(['a'], ['b'], ['c'], ['n'], ['b.x'], ['a', 'c'], ['n', 'b'], ['c', 'n'], ['b.x', 'n']),
  direction,
  fc.constantFrom<Document>(
    {},
    {},
    { unique: true },
    { sparse: true },
    { unique: true, partialFilterExpression: { c: { $exists: true } } },
    { partialFilterExpression: { n: { $gt: 1 } } }
  )
).map(([fields, order, options]) => [Object.fromEntries(fields.map((name, i) => [name, i === 0 ? order : 1])), options])

function step (name: string, argument: unknown, run: Step['run']): Step {
  return { text: `${name} ${JSON.stringify(argument)}`, run }
}

const withId = fc.tuple(id, document).map(([_id, rest]): Document => ({ _id, ...rest }))
const byId = id.map((_id): Document => ({ _id }))
const returned = fc.constantFrom('before' as const, 'after' as const)

const steps: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: withId.map((one) => step('insertOne', one, (c) => c.insertOne(one))) },
  {
    weight: 2,
    arbitrary: fc.tuple(fc.array(withId, { minLength: 1, maxLength: 4 }), fc.boolean())
      .map(([list, ordered]) => step('insertMany', { list, ordered }, (c) => c.insertMany(list, { ordered })))
  },
  {
    weight: 4,
    arbitrary: fc.tuple(filter, sort, fc.integer({ min: 0, max: 4 }), fc.integer({ min: 0, max: 3 }))
      .map(([query, order, limit, skip]) => step(
        'find',
        { query, order, limit, skip },
        (c) => c.find(query).sort(order).limit(limit).skip(skip).toArray()
      ))
  },
  filter.map((query) => step('countDocuments', query, (c) => c.countDocuments(query))),
  fc.tuple(filter, sort, update)
    .map(([query, order, change]) => step(
      'updateOne',
      { query, order, change },
      (c) => c.updateOne(query, change, { sort: order })
    )),
  {
    weight: 3,
    arbitrary: fc.tuple(byId, update, fc.boolean())
      .map(([query, change, upsert]) => step(
        'updateOne',
        { query, change, upsert },
        (c) => c.updateOne(query, change, { upsert })
      ))
  },
  fc.tuple(filter, update).map(
    ([query, change]) => step('updateMany', { query, change }, (c) => c.updateMany(query, change))
  ),
  fc.tuple(byId, document, fc.boolean())
    .map(([query, rest, upsert]) => step(
      'replaceOne',
      { query, rest, upsert },
      (c) => c.replaceOne(query, rest, { upsert })
    )),
  fc.tuple(filter, sort, update, returned).map(([query, order, change, returnDocument]) => {
    return step(
      'findOneAndUpdate',
      { query, order, change, returnDocument },
      (c) => c.findOneAndUpdate(query, change, { sort: order, returnDocument })
    )
  }),
  fc.tuple(filter, sort).map(
    ([query, order]) => step('findOneAndDelete', { query, order }, (c) => c.findOneAndDelete(query, { sort: order }))
  ),
  filter.map((query) => ({ $and: [query, { n: { $lt: 0 } }] }))
    .map((query) => step('deleteMany', query, (c) => c.deleteMany(query))),
  byId.map((query) => step('deleteOne', query, (c) => c.deleteOne(query))),
  { weight: 2, arbitrary: index.map(([key, options]) => step('createIndex', { key, options }, (c) => c.createIndex(key, options))) },
  fc.constantFrom('a_1', 'b_1', 'n_-1', 'a_1_c_1').map(
    (name) => step('dropIndex', name, async (c) => { await c.dropIndex(name) })
  ),
  fc.tuple(fc.array(fc.tuple(withId, byId, update), { minLength: 1, maxLength: 3 }), fc.boolean())
    .map(([list, ordered]) => {
      const operations = list.flatMap(([one, query, change]): AnyBulkWriteOperation[] => [
        { insertOne: { document: one } },
        { updateOne: { filter: query, update: change } }
      ])
      return step('bulkWrite', { operations, ordered }, (c) => c.bulkWrite(operations, { ordered }))
    })
)

/** What is compared: counts, documents with their number types, or the error's codes. */
async function outcome (run: () => Promise<unknown>): Promise<unknown> {
  try {
    return normal(await run())
  } catch (error) {
    if (error instanceof MongoBulkWriteError) {
      const { writeErrors, insertedCount, modifiedCount, matchedCount, upsertedCount } = error
      const codes = [writeErrors].flat().map(({ index, code }) => [index, code])
      return { codes, insertedCount, modifiedCount, matchedCount, upsertedCount }
    }
    if (error instanceof MongoServerError) return { code: error.code }
    throw error
  }
}

function normal (value: unknown): unknown {
  if (Array.isArray(value)) return value.map((one: unknown) => normal(one))
  if (value instanceof Int32 || value instanceof Double || value instanceof Long || value instanceof Decimal128) {
    return `${value.constructor.name}:${value.toString()}`
  }
  if (value instanceof Date || value instanceof ObjectId || value instanceof Binary || value instanceof Timestamp) {
    return `${value.constructor.name}:${JSON.stringify(value)}`
  }
  if (typeof value !== 'object' || value === null) return value
  return Object.entries(value).map(([key, one]) => [key, normal(one)])
}

t.test('random commands have the same outcome on the embedded store and on an independent server', {
  skip: reference === undefined ? 'MONGODB_URI is not set: there is no server to compare with' : false
}, async (t) => {
  const store = await startEmbeddedStore({ dataDir: t.testdir() })
  const options = { promoteValues: false, promoteLongs: false }
  const clients = [new MongoClient(store.uri, options), new MongoClient(reference ?? '', options)]
  const database = `differential_${randomBytes(6).toString('hex')}`
  const collections = clients.map((client) => client.db(database).collection('things'))
  t.teardown(async () => {
    await clients[1]?.db(database).dropDatabase()
    await Promise.all(clients.map((client) => client.close()))
    await store.close()
  })

  const property = fc.asyncProperty(fc.array(steps, { minLength: 5, maxLength: 25 }), async (sequence) => {
    await Promise.all(collections.map((collection) => collection.drop().catch(() => false)))
    const last = step('in the end', {}, (c) => c.find().sort({ _id: 1 }).toArray())
    const first = step('insertOne', { _id: 100 }, (c) => c.insertOne({ _id: 100 } as Document))
    for (const { text, run } of [first, ...sequence, last]) {
      const [ours, theirs] = (await Promise.all(collections.map((collection) => outcome(() => run(collection))))).map(
        (one) => JSON.stringify(one)
      )
      if (ours !== theirs) throw new Error(`${text}\n  embedded:  ${ours}\n  reference: ${theirs}`)
    }
  })
  const details = await fc.check(property, { numRuns: 10_000, interruptAfterTimeLimit: TIME_LIMIT_MS })
  t.comment(`${details.numRuns} sequences, seed ${details.seed}`)
  if (details.failed) {
    const [sequence = []] = details.counterexample ?? []
    t.comment([...sequence.map(({ text }) => text), String(details.errorInstance)].join('\n'))
  }
  t.notOk(details.failed, 'same documents, same counts, same error codes')
  t.ok(details.numRuns > 0)
})
