import { Type, type IntegerOptions, type Static, type TSchema } from '@sinclair/typebox'

export { Type, type Static, type TSchema }

/** Refers to a schema that has an `$id`, so that the document shows one named component instead of copies. */
export function Ref<T extends TSchema> (schema: T) {
  return Type.Unsafe<Static<T>>({ $ref: `${schema.$id ?? ''}#` })
}

/** One of some words, as a plain `enum`: what generators of clients understand best. */
export function OneOf<const T extends readonly string[]> (values: T, options: { default?: T[number], description: string }) {
  return Type.Unsafe<T[number]>({ type: 'string', enum: values, ...options })
}

/** An integer that may be beyond 32 bits, which is what clients in Go and Java would make of it else. */
export function Long (options: IntegerOptions) {
  return Type.Integer({ format: 'int64', ...options })
}

/** A word that an answer may have: one of these now, and others later. What programs know of the list is `x-extensible-enum`. */
export function OpenWord (values: readonly string[], options: { description: string, examples?: string[] }) {
  return Type.String({ ...options, description: `${options.description} Open to growth.`, 'x-extensible-enum': values })
}

/** What may be null; the description is that of both. */
export function OrNull<T extends TSchema> (schema: T, description = String(schema.description)) {
  return Type.Union([schema, Type.Null()], { description })
}

/** A closed object: members that are not named are refused. */
export const closed = { additionalProperties: false } as const
