import { type Content, type Document, type Operation, type Parameter, type Response, type Schema } from '../document.ts'
import { type Direction, SchemaBreaks } from './schema-breaks.ts'

type Security = ReadonlyArray<Readonly<Record<string, unknown>>>
interface Guarded { readonly security?: Security, readonly 'x-scopes'?: readonly string[] }

const keyOf = ({ in: place, name }: Parameter) => `${place} ${place === 'header' ? name.toLowerCase() : name}`
const named = (parameters: readonly Parameter[] = []) => new Map(parameters.map((parameter) => [keyOf(parameter), parameter]))
const isSuccess = (status: string) => /^[23]/.test(status)

/** Whoever follows events is told to pass over those that are new, so only the others are compared. */
function withoutNewEvents (type: string, old: Schema, now: Schema, resolve: (document: 'before' | 'after', schema: Schema) => Schema): Schema {
  if (type !== 'text/event-stream') return now
  const known = (resolve('before', old).anyOf ?? []).map(({ $ref }) => $ref)
  const { anyOf, ...rest } = resolve('after', now)
  return anyOf ? { ...rest, anyOf: anyOf.filter(({ $ref }) => known.includes($ref)) } : now
}

/** Compares two documents; each part says what a client of the first misses in the second. */
class Comparison {
  readonly #before: Document
  readonly #after: Document
  readonly #schemas: SchemaBreaks

  constructor (before: Document, after: Document) {
    this.#before = before
    this.#after = after
    this.#schemas = new SchemaBreaks(before, after)
  }

  all (): string[] {
    const [before, after] = [this.#before, this.#after]
    const gone = Object.keys(before.components.schemas).filter((name) => !(name in after.components.schemas))
    return [
      ...eachOf(before.paths, after.paths, (at, old, now) => this.#operation(at, old, now)),
      ...eachOf(webhooksOf(before), webhooksOf(after), (at, old, now) => this.#content(at, old.requestBody?.content, now.requestBody?.content, 'response')),
      ...gone.map((name) => `the component ${name} is gone, and what generators make of it`)
    ]
  }

  #operation (at: string, old: Operation, now: Operation): string[] {
    return [
      ...(old.operationId === now.operationId ? [] : [`${at} is called ${now.operationId} and not ${old.operationId}: so are its methods in clients`]),
      ...this.#parameters(at, old, now),
      ...this.#body(at, old.requestBody, now.requestBody),
      ...this.#responses(at, old.responses, now.responses),
      ...this.#admission(at, old as Guarded, now as Guarded)
    ]
  }

  #parameters (at: string, old: Operation, now: Operation): string[] {
    const [olds, nows] = [named(old.parameters), named(now.parameters)]
    const known = [...olds].flatMap(([key, parameter]) => {
      const other = nows.get(key)
      if (!other) return [`${at} does not take the ${key} any more`]
      const demanded = other.required && !parameter.required ? [`${at} needs the ${key} now`] : []
      return [...demanded, ...this.#schemas.compare(parameter.schema, other.schema, 'request', `${at} ${key}`)]
    })
    const added = [...nows].filter(([key, { required }]) => required && !olds.has(key)).map(([key]) => `${at} needs the ${key} now`)
    return [...known, ...added]
  }

  #body (at: string, old: Operation['requestBody'], now: Operation['requestBody']): string[] {
    if (!now) return old ? [`${at} does not take a body any more`] : []
    const demanded = now.required && !old?.required ? [`${at} needs a body now`] : []
    return [...demanded, ...this.#content(`${at} body`, old?.content, now.content, 'request')]
  }

  #content (at: string, olds: Content = {}, nows: Content = {}, direction: Direction): string[] {
    const resolve = (which: 'before' | 'after', schema: Schema) => this.#find<Schema>(which === 'before' ? this.#before : this.#after, schema)
    return Object.entries(olds).flatMap(([type, { schema: old }]) => {
      const now = nows[type]?.schema
      if (!now) return [`${at} is not ${type} any more`]
      return this.#schemas.compare(old, withoutNewEvents(type, old, now, resolve), direction, at)
    })
  }

  /** A failure that does not come any more breaks nobody. */
  #responses (at: string, olds: Operation['responses'], nows: Operation['responses']): string[] {
    return Object.entries(olds).flatMap(([status, response]) => {
      if (!nows[status]) return isSuccess(status) ? [`${at} does not answer ${status} any more`] : []
      const [old, now] = [this.#find<Response>(this.#before, response), this.#find<Response>(this.#after, nows[status])]
      const headers = Object.keys(old.headers ?? {}).filter((name) => !(name in (now.headers ?? {})))
      return [
        ...headers.map((name) => `${at} ${status} is without the header ${name}`),
        ...this.#content(`${at} ${status}`, old.content, now.content, 'response')
      ]
    })
  }

  /** Ways to be let in, and scopes of which one is enough. */
  #admission (at: string, old: Guarded, now: Guarded): string[] {
    const [olds, nows] = [this.#waysIn(this.#before, old), this.#waysIn(this.#after, now)]
    const ways = nows.includes('nothing') ? [] : olds.filter((way) => !nows.includes(way))
    const scopes = now['x-scopes'] && old['x-scopes']?.filter((scope) => !now['x-scopes']?.includes(scope))
    return [
      ...ways.map((way) => `${at} does not take ${way} as a credential any more`),
      ...(scopes ?? []).map((scope) => `${at} is not for the scope ${scope} any more`)
    ]
  }

  #waysIn (document: Document, { security = (document as Guarded).security ?? [] }: Guarded): string[] {
    return security.length === 0 ? ['nothing'] : security.map((way) => Object.keys(way).sort().join(' with ') || 'nothing')
  }

  #find<T extends { readonly $ref?: string }> (document: Document, value: T): T {
    const [, , kind, name] = value.$ref?.split('/') ?? []
    return name === undefined ? value : document.components[kind!]![name] as T
  }
}

const webhooksOf = (document: Document) => (document.webhooks ?? {}) as Document['paths']

/** The breaks of all operations of a document that has others, or none, in the second. */
function eachOf (olds: Document['paths'], nows: Document['paths'], compare: (at: string, old: Operation, now: Operation) => string[]): string[] {
  return Object.entries(olds).flatMap(([path, methods]) => Object.entries(methods).flatMap(([method, old]) => {
    const at = `${method.toUpperCase()} ${path}`
    const now = nows[path]?.[method]
    return now ? compare(at, old, now) : [`${at} is gone`]
  }))
}

/**
 * What a client that was made for `before` misses in `after`, in words. Own rules, because what npm has does not do: `openapi-diff` compares
 * by a library that knows draft 4 of JSON Schema and nothing of 3.1, `oasdiff` is a placeholder there (the program of that name is one in
 * Go, which the contract would need on every machine), and the others look at names and types only. None knows what is open to growth here.
 */
export function breaksOf (before: Document, after: Document): string[] {
  return [...new Set(new Comparison(before, after).all())]
}
