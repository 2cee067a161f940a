import { Type, type Static, type TObject, type TProperties, type TSchema, type TUnion } from '@sinclair/typebox'

/** An object that refuses unknown keys, as every request object of the API does. */
export const closed = <T extends TProperties>(properties: T): TObject<T> =>
  Type.Object(properties, { additionalProperties: false })

/** A property that may be absent. */
export const maybe = <T extends TSchema>(schema: T) => Type.Optional(schema)

/** A property that may be absent or null. */
export const nullish = <T extends TSchema>(schema: T) => Type.Optional(Type.Union([schema, Type.Null()]))

/** One of a fixed set of strings. */
export const oneOf = <const T extends readonly string[]>(...values: T) =>
  Type.Unsafe<T[number]>(Type.Union(values.map((value) => Type.Literal(value))))

/** A JSON object of any content. */
export const anyObject = Type.Record(Type.String(), Type.Unknown())

/**
 * A union whose branches are told apart by the literal in `tag`. The tag is required in every branch: without it the
 * branches overlap and the API refuses the object.
 */
export function tagged<T extends TObject[]> (tag: string, branches: [...T]): TUnion<T> {
  const strict = branches.map((branch) => ({
    ...branch,
    required: [...new Set([tag, ...(branch.required ?? [])])]
  }))
  return Type.Unsafe<Static<TUnion<T>>>(Type.Union(strict, { tag })) as unknown as TUnion<T>
}

/** A time to wait, at most a day. */
export const milliseconds = Type.Integer({ minimum: 0, maximum: 86_400_000 })
