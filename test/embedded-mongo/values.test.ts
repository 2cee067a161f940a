import {
  Binary, BSONRegExp, BSONSymbol, Code, Decimal128, Double, Long, MaxKey, MinKey, ObjectId, Timestamp
} from 'bson'
import fc from 'fast-check'
import t from 'tap'
import { compareStrings, compareValues } from '../../src/embedded-mongo/values/compare.ts'
import { encodeKey, encodeValue, storedKey, successor } from '../../src/embedded-mongo/storage/key-encoding.ts'
import { boundsOf, keyRanges } from '../../src/embedded-mongo/query/intervals.ts'
import { compileFilter } from '../../src/embedded-mongo/query/matcher.ts'
import { add, multiply } from '../../src/embedded-mongo/values/numbers.ts'
import { compileRegExp, literalPrefix } from '../../src/embedded-mongo/query/regex.ts'
import { decode, encode, isNumeric, typeName, type Document } from '../../src/embedded-mongo/values/values.ts'

/** Values in MongoDB's comparison order; those in one row are equal. */
const ORDER: unknown[][] = [
  [new MinKey()],
  [null, undefined],
  [NaN, Decimal128.fromString('NaN')],
  [-Infinity, Decimal128.fromString('-Infinity')],
  [Decimal128.fromString('-1E+6000')],
  [-1e300],
  [Long.fromString('-9223372036854775808'), new Double(-9223372036854775808)],
  [-1.5, Decimal128.fromString('-1.50')],
  [Decimal128.fromString('-1E-6000')],
  [0, -0, new Double(0), Long.fromNumber(0), Decimal128.fromString('0E+3')],
  [Decimal128.fromString('1E-6000')],
  [5e-324],
  [Decimal128.fromString('0.1')],
  // The double 0.1 is a little more than a tenth.
  [0.1],
  [1, new Double(1), Long.fromNumber(1), Decimal128.fromString('1.0')],
  [Long.fromString('9007199254740992'), 9007199254740992],
  [Long.fromString('9007199254740993'), Decimal128.fromString('9007199254740993')],
  [Decimal128.fromString('9007199254740993.5')],
  [Long.fromString('9223372036854775807')],
  [new Double(9223372036854775808)],
  [1e300],
  [Decimal128.fromString('1E+6000')],
  [Infinity, Decimal128.fromString('Infinity')],
  ['', new BSONSymbol('')],
  ['\0'],
  ['\0a'],
  ['a'],
  ['a\0'],
  ['aa'],
  ['b'],
  ['é'],
  ['\uffee'],
  // Above U+FFEE in code points, below it in UTF-16.
  ['𝒳'],
  [{}],
  [{ a: 1 }, { a: new Double(1) }],
  [{ a: 1, b: 1 }],
  [{ a: 2 }],
  [{ b: 1 }],
  [{ a: 'x' }],
  [[]],
  [[1]],
  [[1, 2]],
  [[2]],
  [new Binary(Buffer.from('z'))],
  [new Binary(Buffer.from('z'), 5)],
  [new Binary(Buffer.from('aa'))],
  [new ObjectId('000000000000000000000001')],
  [new ObjectId('000000000000000000000100')],
  [false],
  [true],
  [new Date(-1)],
  [new Date(0)],
  [new Timestamp({ t: 1, i: 1 })],
  [new Timestamp({ t: 1, i: 2 })],
  [new BSONRegExp('a', 'i')],
  [new BSONRegExp('b', '')],
  [new Code('f')],
  [new MaxKey()]
]

const ranked = ORDER.flatMap((row, rank) => row.map((value) => ({ value, rank })))

t.test('comparison, keys and descending keys agree on MongoDB\'s order of all values', async (t) => {
  for (const a of ranked) {
    for (const b of ranked) {
      const expected = Math.sign(a.rank - b.rank)
      const name = `${typeName(a.value)} ${String(a.value)} and ${typeName(b.value)} ${String(b.value)}`
      const orders = [
        Math.sign(compareValues(a.value, b.value)),
        Buffer.compare(encodeValue(a.value), encodeValue(b.value)),
        Buffer.compare(encodeKey([b.value, 1], [-1, 1]), encodeKey([a.value, 1], [-1, 1]))
      ]
      if (orders.some((order) => order !== expected)) t.same(orders, [expected, expected, expected], name)
    }
  }
  t.pass('all pairs')
})

t.test('no encoding is the start of another, however values are joined', async () => {
  const scalar = fc.oneof(
    fc.integer(),
    fc.double(),
    fc.string({ unit: 'binary' }),
    fc.boolean(),
    fc.constant(null),
    fc.uint8Array().map((bytes) => new Binary(bytes))
  )
  const value = fc.oneof(scalar, fc.array(scalar, { maxLength: 3 }), fc.dictionary(fc.string(), scalar, { maxKeys: 3 }))
  fc.assert(fc.property(fc.array(value, { minLength: 2, maxLength: 2 }), fc.array(value, { minLength: 2, maxLength: 2 }), (a, b) => {
    const wanted = Math.sign(compareValues(a[0], b[0]) || compareValues(a[1], b[1]))
    const [x, y] = [encodeKey(a, [1, 1]), encodeKey(b, [1, 1])]
    return Buffer.compare(x, y) === wanted && (wanted === 0 || !x.subarray(0, y.length).equals(y))
  }))
  fc.assert(
    fc.property(
      fc.string({ unit: 'binary' }),
      fc.string({ unit: 'binary' }),
      (a, b) => Math.sign(compareStrings(a, b)) === Buffer.compare(Buffer.from(a), Buffer.from(b))
    )
  )
})

t.test('a key of any length fits, and bounds find it, ascending and descending', async (t) => {
  const operator = fc.constantFrom('$eq', '$gt', '$gte', '$lt', '$lte')
  const long = fc.tuple(fc.string({ maxLength: 3 }), fc.integer({ min: 0, max: 2500 }), fc.string({ maxLength: 3 }))
    .map(
      ([a, n, b]) => a + 'm'.repeat(n) + b
    )
  const value = fc.oneof(
    fc.integer({ min: -5, max: 5 }),
    fc.string({ maxLength: 4 }),
    long,
    fc.constantFrom(NaN, null, -Infinity, 1.5),
    fc.date({ noInvalidDate: true })
  )
  fc.assert(fc.property(value, operator, value, fc.constantFrom(1, -1), (stored, name, operand, direction) => {
    const bounds = boundsOf(name, operand)
    if (bounds === undefined) return true
    const full = encodeKey([stored], [direction])
    const key = storedKey(full)
    const isCut = key !== full
    const ranges = keyRanges([bounds.intervals], [direction], isCut)
    const isInside = ranges.some(
      ({ start, end }) => Buffer.compare(start, key) <= 0 && (end === undefined || Buffer.compare(key, end) < 0)
    )
    const matches = compileFilter({ value: { [name]: operand } }).test({ value: stored })
    // A cut key may lie in bounds that its value is outside of, never the other way round.
    return key.length <= 1800 && (isCut || !bounds.exact ? isInside || !matches : isInside === matches)
  }), { numRuns: 2000 })
  t.equal(successor(Buffer.from([0xff, 0xff])), undefined)
  t.same(successor(Buffer.from([1, 0xff])), Buffer.from([2]))
})

t.test('documents survive decoding and encoding byte for byte', async (t) => {
  for (const { value } of ranked) {
    if (value === undefined) continue
    const bytes = encode({ value: value instanceof Double || typeof value !== 'number' ? value : new Double(value) })
    t.same(Buffer.from(encode(decode(bytes))), Buffer.from(bytes), typeName(value))
  }
  const proto = encode(JSON.parse('{"__proto__": 5, "a": {"__proto__": {"x": 1}}}') as Document)
  t.same(Buffer.from(encode(decode(proto))), Buffer.from(proto))
  t.throws(() => decode(Buffer.from([9, 0, 0, 0, 1])), { code: 22 })
})

t.test('arithmetic keeps the wider type and refuses to overflow', async (t) => {
  const long = Long.fromString('9223372036854775807')
  const cases: Array<[unknown, string, string]> = [
    [add(1, 2), 'int', '3'],
    [add(2147483647, 1), 'long', '2147483648'],
    [add(1, Long.fromNumber(2)), 'long', '3'],
    [add(1, new Double(2)), 'double', '3'],
    [add(0.5, 1), 'double', '1.5'],
    [add(Decimal128.fromString('1.10'), 2), 'decimal', '3.10'],
    [add(Decimal128.fromString('1.10'), 0.5), 'decimal', '1.600000000000000'],
    [add(Decimal128.fromString('1'), Infinity), 'decimal', 'Infinity'],
    [multiply(100000, 100000), 'long', '10000000000'],
    [multiply(Decimal128.fromString('1.10'), Long.fromNumber(2)), 'decimal', '2.20']
  ]
  for (const [value, type, text] of cases) t.same([typeName(value), String(value)], [type, text])
  t.throws(() => add(long, 1), { code: 2 })
  t.throws(() => multiply(long, long), { code: 2 })
  t.ok(cases.every(([value]) => isNumeric(value)))
})

t.test('filters', async (t) => {
  const oid = new ObjectId()
  const yes: Array<[Document, Document]> = [
    [{ a: { b: null } }, { 'a.b': null }],
    [{}, { 'a.b': null }],
    [{ a: 5 }, { 'a.b': null }],
    [{ a: [{ b: 1 }, {}] }, { 'a.b': null }],
    [{ a: [] }, { 'a.b': { $ne: null } }],
    [{ a: [] }, { 'a.b': { $exists: false } }],
    [{ a: [1, [2, 3]] }, { a: [2, 3] }],
    [{ a: [1, 2] }, { a: [1, 2] }],
    [{ a: [{ b: [{ c: 1 }] }] }, { 'a.b.c': 1 }],
    [{ a: [{ b: 1 }, { b: 2 }] }, { 'a.1.b': 2 }],
    [{ a: { 1: 'x' } }, { 'a.1': 'x' }],
    [{ a: [[5]] }, { 'a.0.0': 5 }],
    [{ a: [1, 5] }, { a: { $elemMatch: { $gt: 4, $lt: 6 } } }],
    [{ a: [[1, 5]] }, { a: { $elemMatch: { 0: 1 } } }],
    [{ a: [{ b: 1, c: 2 }] }, { a: { $elemMatch: { b: 1, $or: [{ c: 2 }] } } }],
    [{ a: [{ b: 1 }] }, { a: { $elemMatch: { $and: [{ b: 1 }] } } }],
    [{ a: [{ b: 1 }, { b: 2 }] }, { a: { $all: [{ $elemMatch: { b: 1 } }, { $elemMatch: { b: 2 } }] } }],
    [{ a: 'text' }, { a: /^TE/i }],
    [{ a: ['x', 'text'] }, { a: { $in: [/^t/, 5] } }],
    [{ a: new BSONRegExp('x', 'i') }, { a: new BSONRegExp('x', 'i') }],
    [{ a: new BSONRegExp('x', 'i') }, { a: { $eq: new BSONRegExp('x', 'i') } }],
    [{ a: 'text' }, { a: { $not: /^x/ } }],
    [{ a: 5 }, { a: { $not: { $gt: 5 } } }],
    [{ a: 'a-b' }, { a: { $regex: 'a\\-b' } }],
    [{ a: 'AB' }, { a: { $regex: '(?i)^a\n # a comment\n  b$', $options: 'x' } }],
    [{ a: 7 }, { a: { $mod: [4, 3] } }],
    [{ a: 5 }, { a: { $bitsAllSet: [0, 2] } }],
    [{ a: Long.fromNumber(5) }, { a: { $bitsAnySet: 4 } }],
    [{ a: 5 }, { a: { $bitsAllClear: 2 } }],
    [{ a: new Binary(Buffer.from([2])) }, { a: { $bitsAnyClear: new Binary(Buffer.from([3])) } }],
    [{ a: 5 }, { a: { $type: 'number' } }],
    [{ a: 5 }, { a: { $type: [2, 16] } }],
    [{ a: [] }, { a: { $type: 'array' } }],
    [{ a: oid }, { a: { $gte: new ObjectId(oid.toHexString()) } }],
    [{ a: 5 }, { a: { $lt: new MaxKey() } }],
    [{ a: NaN }, { a: { $gt: new MinKey() } }],
    [{ a: NaN }, { a: { $gte: NaN } }],
    [{ a: null }, { a: { $lte: null } }],
    [{ a: { $ref: 'x', $id: 1 } }, { a: { $ref: 'x', $id: 1 } }],
    [{ a: 5, b: 4 }, { $expr: { $gt: ['$a', '$b'] }, $comment: 'why' }],
    [{ a: 5 }, { $expr: 1 }],
    [{ a: 5 }, { $nor: [{ a: 6 }, { a: 7 }] }],
    [{ a: Decimal128.fromString('5') }, { a: { $in: [5] } }]
  ]
  const no: Array<[Document, Document]> = [
    [{ a: [] }, { 'a.b': null }],
    [{ a: [1, 2] }, { 'a.b': null }],
    [{ a: [[{ b: 1 }]] }, { 'a.b': 1 }],
    [{ a: 'x' }, { a: { $gt: 5 } }],
    [{ a: NaN }, { a: { $lt: 5 } }],
    [{ a: 5 }, { a: { $gt: NaN } }],
    [{}, { a: { $exists: 1 } }],
    [{ a: null }, { a: { $exists: 0 } }],
    [{ a: [1, 2] }, { a: { $size: 1 } }],
    [{ a: 1 }, { a: { $all: [] } }],
    [{ a: { b: 1, c: 2 } }, { a: { c: 2, b: 1 } }],
    [{ a: 1.5 }, { a: { $bitsAllSet: 1 } }],
    [{ a: [{ b: 1 }] }, { a: { $elemMatch: { b: { $in: [] } } } }],
    [{ a: 5 }, { $expr: 0 }],
    [{}, { $expr: '$a' }]
  ]
  const through = (value: Document) => decode(encode(value))
  for (const [document, filter] of yes) {
    t.ok(
      compileFilter(through(filter)).test(through(document)),
      `${JSON.stringify(document)} matches ${JSON.stringify(filter)}`
    )
  }
  for (const [document, filter] of no) {
    t.notOk(
      compileFilter(through(filter)).test(through(document)),
      `${JSON.stringify(document)} does not match ${JSON.stringify(filter)}`
    )
  }
})

t.test('a pattern gives an index the text all its matches start with', async (t) => {
  const cases: Array<[string, string, string]> = [
    ['^abc', '', 'abc'], ['^abc', 'i', ''], ['abc', '', ''], ['^ab?c', '', 'a'], ['^ab*', '', 'a'],
    ['^ab{0}', '', 'a'], ['^ab+', '', 'ab'], ['^a|b', '', ''],
    ['^a.c', '', 'a'], ['^a\\.c', '', 'a'], ['^', '', ''], ['^abc', 'm', '']
  ]
  for (const [pattern, options, prefix] of cases) {
    t.equal(literalPrefix(pattern, options), prefix, `${pattern} ${options}`)
  }
  t.throws(() => compileRegExp('[', ''), { code: 51091 })
})
