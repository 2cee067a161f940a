import { type Description, type Schema } from './document.ts'
import { isIgnored } from './names.ts'

/** What a driver or a template might take for an instruction. */
export const operators: readonly unknown[] = [
  { $ne: null }, { $gt: '' }, { $where: '1' }, { $regex: '.*' }, [{ $ne: null }], { _bsontype: 'ObjectId', id: 'x' }, { toString: 'x' }
]

/** As text. */
export const operatorTexts: readonly string[] = ['{"$ne":null}', '{"$gt":""}', '{"$where":"1"}', '[{"$ne":null}]', '$where', '$ne', '[object Object]', '__proto__']

const unclean = ['a\0b', '\ud800', 'a\udc00b', '\udc00\ud800']

/** In the JSON of a body, a number that no double holds. */
export const HUGE = '<1e400>'
export const toJson = (body: unknown) => JSON.stringify(body).replaceAll(`"${HUGE}"`, '1e400')

function wrongTexts ({ maxLength, minLength, pattern }: Schema): unknown[] {
  const tooLong = maxLength === undefined ? [] : ['a'.repeat(maxLength + 1), '😀'.repeat(maxLength + 1)]
  const isFree = pattern?.includes('\\u0000') ?? false
  const isValue = (text: string) => pattern !== undefined && new RegExp(pattern, 'u').test(text)
  return [
    null, 1, true, [], {}, ['x'], ...operators, ...unclean, ...tooLong, ...isFree ? [] : ['no such value', ...operatorTexts].filter((text) => !isValue(text)),
    ...minLength === 1 ? [''] : [], ...pattern?.startsWith('^\\s*[^\\s') ? [' ', '\n\t\r', '\u00a0\u2003\ufeff'] : []
  ]
}

/** Values that are not of this schema. */
export function wrongValues (description: Description, given: Schema): unknown[] {
  const schema = description.resolve(given)
  if (schema.anyOf) {
    const isNull = ({ type }: Schema) => type === 'null'
    const [one] = schema.anyOf.filter((schema) => !isNull(schema))
    return wrongValues(description, one!).filter((value) => value !== null || !schema.anyOf!.some(isNull))
  }
  if (isIgnored(schema)) return []
  if (schema.const !== undefined) return [null, '', 'other', -1, {}, [], ...operators]
  switch (schema.type) {
    case 'string': return wrongTexts(schema)
    case 'integer': case 'number': {
      const { minimum = -(2 ** 60), maximum = 2 ** 60 } = schema
      return [null, '1', true, [1], {}, HUGE, minimum - 0.001, maximum + 0.001, ...schema.type === 'integer' ? [minimum - 1, maximum + 1, minimum + 0.5, 2 ** 63] : [], ...operators]
    }
    case 'boolean': return [null, 'true', 1, [], {}, ...operators]
    case 'array': {
      const wrong = wrongValues(description, schema.items!)
      return [null, 'x', 1, {}, { 0: 'a' }, { $ne: null }, ...schema.maxItems === undefined ? [] : [Array(schema.maxItems + 1).fill('x')], ...wrong.map((value) => [value])]
    }
    case 'object': {
      if (schema.additionalProperties) {
        return [null, 'x', 1, [], [{}], { a: 'a\0b' }, { a: ['\ud800'] }, { 'a\0': 1 }, { a: { '\ud800': 1 } }, { a: HUGE }, { _bsontype: 'ObjectId' }, { a: [{ _bsontype: 'Code', code: 'x' }] }]
      }
      const members = Object.entries(schema.properties ?? {})
      return [null, 'x', 1, [], [{}], { $ne: null }, { unknown: 1 }, { tenantId: 'x' }, ...members.flatMap(([name, member]) =>
        wrongValues(description, member).map((value) => ({ [name]: value })))]
    }
    // What the schema leaves open is not looked at.
    default: return []
  }
}
