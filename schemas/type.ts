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

/** A closed object: members that are not named are refused. */
export const closed = { additionalProperties: false } as const
