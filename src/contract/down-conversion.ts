import { Converter } from '@apiture/openapi-down-convert'
import { type Document, type Schema, resolved } from './document.ts'

const isNull = ({ type }: Schema) => type === 'null'

/**
 * One schema without `null` as a type of its own, which 3.0 does not know. An `enum` is left without null: what nearly all generators
 * make of one that has it is a value named null.
 */
function nullable (document: Document, schema: Schema): Schema {
  const { anyOf, ...rest } = schema
  if (!anyOf?.some(isNull)) return schema
  const others = anyOf.filter((one) => !isNull(one))
  const [only] = others
  if (others.length > 1 || !only) return { ...rest, anyOf: others, nullable: true }
  // Beside a reference nothing else is read, and `nullable` wants to stand beside a type.
  if (only.$ref) return { ...rest, type: resolved(document, only).type ?? 'object', allOf: [only], nullable: true }
  return { ...only, ...rest, nullable: true }
}

/** In 3.0 a bound that is excluded is a bound and a word beside it. */
function bounded ({ exclusiveMinimum, ...rest }: Schema): object {
  return exclusiveMinimum === undefined ? rest : { ...rest, minimum: exclusiveMinimum, exclusiveMinimum: true }
}

/** Which of several schemas it is, `type` says by its `enum`. With a discriminator, the generator's clients for `fetch` do not compile. */
const undiscriminated = ({ discriminator, ...rest }: Schema): Schema => rest

/** The same for all schemas within a value. What looks like one in an example is none. */
function eachNullable (document: Document, value: unknown): unknown {
  if (Array.isArray(value)) return value.map((item) => eachNullable(document, item))
  if (typeof value !== 'object' || value === null) return value
  const members = Object.entries(bounded(undiscriminated(nullable(document, value as Schema))))
  return Object.fromEntries(members.map(([name, member]) => [name, name === 'examples' ? member : eachNullable(document, member)]))
}

/**
 * The document for generators that stop at OpenAPI 3.0. The library does the most of it; it knows null in a list of types, but not
 * as an alternative, which is how ours is written, nor bounds that are excluded, and leaves the license without a place to read it.
 */
export function to30 (document: object): object {
  const converted = new Converter(eachNullable(document as Document, document) as object, { allOfTransform: true }).convert() as { info: { license: object } }
  converted.info.license = { name: 'MIT', url: 'https://spdx.org/licenses/MIT.html' }
  return converted
}
