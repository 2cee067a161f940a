import { type TSchema } from '@sinclair/typebox'
import { type ValueError, ValueErrorType } from '@sinclair/typebox/errors'

/** One entry of the `detail` of a 422. */
export interface Problem {
  type: string
  loc: Array<string | number>
  msg: string
  input: unknown
}

/** Words an error of the validator as the API does. */
export function describeProblem (error: ValueError, loc: Array<string | number>, body: unknown): Problem {
  const { type, msg } = wording(error)
  return { type, loc, msg, input: type === 'missing' ? parentOf(error.path, body) : error.value }
}

/** Problems of a value in one line, each with its place below `name`. */
export function inOneLine (name: string, problems: Problem[]): string {
  return problems.map(({ loc, msg }) => `${[name, ...loc.slice(1)].join('.')}: ${msg}`).join('; ')
}

interface Wording { type: string, msg: string }

type Word = (error: ValueError) => Wording

const fixed = (type: string, msg: string): Word => () => ({ type, msg })

const bound = (type: string, words: string, keyword: string): Word => ({ schema }) => ({
  type, msg: `Input should be ${words} ${String(schema[keyword])}`
})

const number = (name: string, words: string, article: string): Word => ({ value }) => {
  if (typeof value === 'string') {
    const msg = `Input should be a valid ${words}, unable to parse string as ${article} ${words}`
    return { type: `${name}_parsing`, msg }
  }
  if (name === 'int' && typeof value === 'number') {
    return { type: 'int_from_float', msg: 'Input should be a valid integer, got a number with a fractional part' }
  }
  return { type: `${name}_type`, msg: `Input should be a valid ${words}` }
}

const atLeast = bound('greater_than_equal', 'greater than or equal to', 'minimum')
const atMost = bound('less_than_equal', 'less than or equal to', 'maximum')
const moreThan = bound('greater_than', 'greater than', 'exclusiveMinimum')

const WORDS: Partial<Record<ValueErrorType, Word>> = {
  [ValueErrorType.ObjectAdditionalProperties]: fixed('extra_forbidden', 'Extra inputs are not permitted'),
  [ValueErrorType.ObjectRequiredProperty]: fixed('missing', 'Field required'),
  [ValueErrorType.String]: fixed('string_type', 'Input should be a valid string'),
  [ValueErrorType.StringPattern]: fixed('uuid_parsing', 'Input should be a valid UUID'),
  [ValueErrorType.Integer]: number('int', 'integer', 'an'),
  [ValueErrorType.Number]: number('float', 'number', 'a'),
  [ValueErrorType.Boolean]: ({ value }) => typeof value === 'string'
    ? { type: 'bool_parsing', msg: 'Input should be a valid boolean, unable to interpret input' }
    : { type: 'bool_type', msg: 'Input should be a valid boolean' },
  [ValueErrorType.Array]: fixed('list_type', 'Input should be a valid list'),
  [ValueErrorType.ArrayMinItems]: ({ schema }) => ({
    type: 'too_short', msg: `List should have at least ${String(schema.minItems)} item after validation, not 0`
  }),
  [ValueErrorType.ArrayMaxItems]: ({ schema }) => ({
    type: 'too_long', msg: `List should have at most ${String(schema.maxItems)} items after validation`
  }),
  [ValueErrorType.Object]: fixed('model_attributes_type',
    'Input should be a valid dictionary or object to extract fields from'),
  [ValueErrorType.Literal]: ({ schema }) => ({
    type: 'literal_error', msg: `Input should be '${String(schema.const)}'`
  }),
  [ValueErrorType.Union]: union,
  [ValueErrorType.IntegerMinimum]: atLeast,
  [ValueErrorType.NumberMinimum]: atLeast,
  [ValueErrorType.IntegerMaximum]: atMost,
  [ValueErrorType.NumberMaximum]: atMost,
  [ValueErrorType.IntegerExclusiveMinimum]: moreThan,
  [ValueErrorType.NumberExclusiveMinimum]: moreThan
}

function wording (error: ValueError): Wording {
  return WORDS[error.type]?.(error) ?? { type: 'value_error', msg: error.message }
}

/** A union that no branch was chosen from: a fixed set of strings, or a tag that is absent or unknown. */
function union ({ schema, value }: ValueError): Wording {
  const branches = schema.anyOf as TSchema[]
  const tag = schema.tag as string | undefined
  if (tag === undefined) {
    return { type: 'enum', msg: `Input should be ${list(branches.map((branch): unknown => branch.const), ' or ')}` }
  }
  const given = (value as Record<string, unknown>)[tag]
  if (given === undefined) {
    return { type: 'union_tag_not_found', msg: `Unable to extract tag using discriminator '${tag}'` }
  }
  const known = branches.map((branch) => (branch.properties as Record<string, TSchema>)[tag]?.const as unknown)
  return {
    type: 'union_tag_invalid',
    msg: `Input tag ${JSON.stringify(given)} found using '${tag}' does not match any of the expected tags: ` +
      list(known, ', ')
  }
}

function list (values: unknown[], last: string): string {
  const quoted = values.map((value) => `'${String(value)}'`)
  return quoted.length < 2 ? quoted.join('') : quoted.slice(0, -1).join(', ') + last + String(quoted.at(-1))
}

function parentOf (pointer: string, body: unknown): unknown {
  let value = body
  for (const key of pointer.split('/').slice(1, -1)) {
    value = (value as Record<string, unknown>)[key.replaceAll('~1', '/').replaceAll('~0', '~')]
  }
  return value
}
