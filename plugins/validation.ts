import { AjvCompiler } from '@fastify/ajv-compiler'
import { type FastifyServerOptions } from 'fastify'
import { METADATA_KEYWORD } from '../schemas/text.ts'
import { isCleanText } from '../src/clean-text.ts'

/** Of `Metadata`: how large it may be as JSON, and that all its texts can be stored. */
const metadataKeyword = {
  keyword: METADATA_KEYWORD,
  type: 'object' as const,
  schemaType: 'number' as const,
  errors: false,
  validate: (maxBytes: number, data: object) => Buffer.byteLength(JSON.stringify(data)) <= maxBytes && isCleanText(data),
  error: { message: 'must be at most 4 KiB as JSON, its texts without NUL and lone surrogates' }
}

const strict = { removeAdditional: false, allErrors: false, keywords: [metadataKeyword] }
const asSent = { ...strict, coerceTypes: false, useDefaults: false }
const fromText = { ...strict, coerceTypes: true, useDefaults: true }

type Build = ReturnType<typeof AjvCompiler>

function buildValidator (externalSchemas: Parameters<Build>[0]): ReturnType<Build> {
  const build: Build = AjvCompiler()
  const body = build(externalSchemas, { customOptions: asSent })
  const rest = build(externalSchemas, { customOptions: fromText })
  return (route) => (route as { httpPart?: string }).httpPart === 'body' ? body(route) : rest(route)
}

type CompilersFactory = NonNullable<NonNullable<FastifyServerOptions['schemaController']>['compilersFactory']>

/**
 * Two validators. A body means what it says: nothing in it is converted, removed or filled in. Parameters, query and
 * headers arrive as text and are converted to what their schema asks for.
 */
export const compilersFactory: CompilersFactory = {
  buildValidator
}
