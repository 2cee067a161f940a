/** What the code of the contract needs to know of an OpenAPI document. */
export interface Document {
  readonly info: { readonly version: string }
  readonly paths: Record<string, Record<string, Operation>>
  readonly webhooks?: Record<string, unknown>
  readonly components: Record<string, Record<string, unknown>> & { readonly schemas: Record<string, Schema> }
}

export interface Operation {
  readonly operationId: string
  description?: string
  parameters?: Parameter[]
  readonly requestBody?: { readonly required?: boolean, readonly content: Content }
  responses: Record<string, Response>
  callbacks?: object
}

export interface Parameter {
  readonly in: string
  readonly name: string
  required?: boolean
  readonly schema: Schema
}

export interface Response {
  readonly $ref?: string
  readonly description: string
  headers?: object
  links?: Record<string, Link>
  readonly content?: Content
}

export interface Link {
  readonly operationId: string
  readonly description: string
  readonly parameters?: Readonly<Record<string, string>>
}

export type Content = Readonly<Record<string, { readonly schema: Schema }>>

export interface Schema {
  readonly $ref?: string
  readonly type?: string | readonly string[]
  readonly const?: unknown
  readonly enum?: readonly unknown[]
  readonly default?: unknown
  readonly description?: string
  readonly examples?: readonly unknown[]
  readonly properties?: Readonly<Record<string, Schema>>
  readonly required?: readonly string[]
  readonly items?: Schema
  readonly anyOf?: readonly Schema[]
  readonly oneOf?: readonly Schema[]
  readonly allOf?: readonly Schema[]
  readonly additionalProperties?: boolean | Schema
  readonly [keyword: string]: unknown
  readonly exclusiveMinimum?: number
}

/** The name of the component that a reference or a schema refers to. */
export const nameOf = ({ $ref }: { readonly $ref?: string }) => $ref?.split('/').at(-1)

/** The schema itself, where it only refers to one. */
export function resolved (document: Document, schema: Schema): Schema {
  const name = nameOf(schema)
  return name === undefined ? schema : document.components.schemas[name] ?? {}
}
