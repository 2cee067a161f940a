import { type FastifyInstance } from 'fastify'

/** What a JSON schema of ours can say. */
export interface Schema {
  readonly $ref?: string
  readonly type?: string
  readonly const?: unknown
  readonly description?: string
  readonly enum?: readonly string[]
  readonly examples?: readonly unknown[]
  readonly anyOf?: readonly Schema[]
  readonly properties?: Readonly<Record<string, Schema>>
  readonly required?: readonly string[]
  readonly items?: Schema
  readonly pattern?: string
  readonly format?: string
  readonly default?: unknown
  readonly minLength?: number
  readonly maxLength?: number
  readonly minItems?: number
  readonly maxItems?: number
  readonly minimum?: number
  readonly maximum?: number
  readonly additionalProperties?: boolean | Schema
}

export interface Parameter {
  readonly in: 'path' | 'query' | 'header'
  readonly name: string
  readonly required?: boolean
  readonly schema: Schema
}

type Content = Readonly<Record<string, { readonly schema: Schema }>>

interface Answer { readonly $ref?: string, readonly content?: Content }

interface Told {
  readonly operationId: string
  readonly parameters?: readonly Parameter[]
  readonly requestBody?: { readonly content: Content }
  readonly responses: Readonly<Record<string, Answer>>
  readonly 'x-scopes'?: readonly string[]
}

export interface Operation {
  readonly id: string
  readonly method: string
  readonly path: string
  /** Any one of these is enough; none: it is public. */
  readonly scopes: readonly string[]
  readonly parameters: readonly Parameter[]
  readonly body?: { readonly type: string, readonly schema: Schema }
  readonly responses: Told['responses']
  readonly streams: boolean
}

interface Document {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Told>>>>
  readonly components: { readonly schemas: Readonly<Record<string, Schema>>, readonly responses: Readonly<Record<string, Answer>> }
}

const EVENTS = 'text/event-stream'

/** What an app says of itself: the tests are made of this. */
export class Description {
  readonly operations: readonly Operation[]
  readonly #components: Document['components']['schemas']
  readonly #shared: Document['components']['responses']

  constructor (app: FastifyInstance) {
    const { paths, components } = app.swagger() as unknown as Document
    this.#components = components.schemas
    this.#shared = components.responses
    this.operations = Object.entries(paths).flatMap(([path, methods]) =>
      Object.entries(methods).map(([method, told]) => this.#operation(path, method.toUpperCase(), told)))
  }

  #operation (path: string, method: string, told: Told): Operation {
    const contents = Object.entries(told.requestBody?.content ?? {})
    const content = contents.find(([type]) => type === 'application/json') ?? contents[0]
    const responses = Object.fromEntries(Object.entries(told.responses).map(([status, answer]) =>
      [status, answer.$ref === undefined ? answer : this.#shared[answer.$ref.split('/').at(-1)!]!]))
    return {
      id: told.operationId,
      method,
      path,
      scopes: told['x-scopes'] ?? [],
      parameters: told.parameters ?? [],
      ...(content && { body: { type: content[0], schema: this.resolve(content[1].schema) } }),
      responses,
      streams: Object.values(responses).some(({ content }) => content?.[EVENTS] !== undefined)
    }
  }

  resolve (schema: Schema): Schema {
    if (schema.$ref === undefined) return schema
    const found = this.#components[schema.$ref.split('/').at(-1)!]
    if (!found) throw new Error(`${schema.$ref} is not in the document`)
    return found
  }

  /** The members of `value` that `schema` does not tell of. */
  undeclared (value: unknown, schema: Schema, at = ''): string[] {
    const { anyOf, items, properties, additionalProperties } = this.resolve(schema)
    if (anyOf) {
      const all = anyOf.map((one) => this.undeclared(value, one, at))
      return all.find((found) => found.length === 0) ?? all[0]!
    }
    if (Array.isArray(value)) return items ? value.flatMap((item, i) => this.undeclared(item, items, `${at}/${i}`)) : []
    if (typeof value !== 'object' || value === null || !properties) return []
    return Object.entries(value).flatMap(([name, member]) => {
      const known = properties[name]
      if (known) return this.undeclared(member, known, `${at}/${name}`)
      return additionalProperties ? [] : [`${at}/${name}`]
    })
  }
}
