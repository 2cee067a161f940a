import { type TSchema } from '@sinclair/typebox'
import { TypeCompiler, type TypeCheck, type ValueError, ValueErrorType } from '@sinclair/typebox/compiler'
import { describeProblem, type Problem } from './problem-text.ts'

/** Checks bodies against one request schema. Built once per schema; compiling costs a few milliseconds. */
export interface Validator {
  /** Every problem of the body in document order; none: the body has the schema's shape. */
  (body: unknown): Problem[]
}

const MAX_PROBLEMS = 50

/** Compiles a schema. */
export function validator (schema: TSchema): Validator {
  let check: TypeCheck<TSchema> | undefined
  return (body) => {
    check ??= TypeCompiler.Compile(schema)
    return check.Check(body) ? [] : problems(check.Errors(body), body)
  }
}

function problems (errors: Iterable<ValueError>, body: unknown): Problem[] {
  const tags = new Map<string, string>()
  const found = new Map<string, Problem>()
  for (const error of leaves(errors, tags)) {
    if (found.size >= MAX_PROBLEMS) break
    // A missing key is reported twice, as missing and as a value of the wrong type; the first one is the readable one.
    if (found.has(error.path)) continue
    found.set(error.path, describeProblem(error, location(error.path, body, tags), body))
  }
  return [...found.values()]
}

function * leaves (errors: Iterable<ValueError>, tags: Map<string, string>): Generator<ValueError> {
  for (const error of errors) {
    if (error.type !== ValueErrorType.Union) {
      yield error
      continue
    }
    const branch = chooseBranch(error, tags)
    if (branch === undefined) yield error
    else yield * leaves(error.errors[branch] ?? [], tags)
  }
}

/** The branch that the caller meant; undefined: the union itself is the problem. */
function chooseBranch (error: ValueError, tags: Map<string, string>): number | undefined {
  const branches = error.schema.anyOf as TSchema[]
  const tag = error.schema.tag as string | undefined
  if (tag !== undefined) {
    if (!isObject(error.value)) return 0
    const given = error.value[tag]
    const index = branches.findIndex((branch) => tagOf(branch, tag) === given)
    if (index < 0) return undefined
    tags.set(error.path, String(given))
    return index
  }
  if (branches.every((branch) => branch.const !== undefined)) return undefined
  const index = branches.findIndex((branch) => fits(branch, error.value))
  return index < 0 ? 0 : index
}

function tagOf (branch: TSchema, tag: string): unknown {
  return (branch.properties as Record<string, TSchema>)[tag]?.const
}

/** Whether the value has the schema's JSON type, looking no deeper than a list's first item. */
function fits (schema: TSchema, value: unknown): boolean {
  const branches = schema.anyOf as TSchema[] | undefined
  if (branches !== undefined) return branches.some((branch) => fits(branch, value))
  switch (schema.type) {
    case 'string':
    case 'boolean': return typeof value as string === schema.type
    case 'null': return value === null
    case 'array':
      return Array.isArray(value) && (value.length === 0 || fits(schema.items as TSchema, value[0]))
    case 'object': return isObject(value)
    default: return typeof value === 'number'
  }
}

function isObject (value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** A JSON pointer as a `loc`: "body", keys and list positions, and after a tagged value the tag that was met. */
function location (pointer: string, body: unknown, tags: Map<string, string>): Array<string | number> {
  const loc: Array<string | number> = ['body']
  let value = body
  let path = ''
  for (const escaped of pointer.split('/').slice(1)) {
    const key = escaped.replaceAll('~1', '/').replaceAll('~0', '~')
    loc.push(Array.isArray(value) ? Number(key) : key)
    value = (value as Record<string, unknown>)[key]
    path += `/${escaped}`
    const tag = tags.get(path)
    if (tag !== undefined) loc.push(tag)
  }
  return loc
}
