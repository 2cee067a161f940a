import { AjvCompiler } from '@fastify/ajv-compiler'
import { LRUCache } from 'lru-cache'
import { METADATA_KEYWORD } from '../schemas/text.ts'
import { isStorable } from '../src/storable-json.ts'
import { componentsKey } from './components-key.ts'

/** Of `Metadata`: how large it may be as JSON, and that all in it can be stored. */
const metadataKeyword = {
  keyword: METADATA_KEYWORD,
  type: 'object' as const,
  schemaType: 'number' as const,
  errors: false,
  validate: (maxBytes: number, data: object) => Buffer.byteLength(JSON.stringify(data)) <= maxBytes && isStorable(data),
  error: { message: 'must be at most 4 KiB as JSON, without NUL, lone surrogates, numbers beyond a double and members named _bsontype' }
}

// TypeBox makes the schemas and the linter reads the document made of them: checking each against the meta-schema, which
// has to be compiled first, takes nearly half of the time until the server listens.
const strict = { removeAdditional: false, allErrors: false, keywords: [metadataKeyword], validateSchema: false }
const asSent = { ...strict, coerceTypes: false, useDefaults: false }
const fromText = { ...strict, coerceTypes: true, useDefaults: true }

type Build = ReturnType<typeof AjvCompiler>
type Compile = ReturnType<Build>
type Validate = ReturnType<Compile>

// By the components that they refer to.
const compilers = new LRUCache<string, Compile>({ max: 8 })

/**
 * Two validators. A body means what it says: nothing in it is converted, removed or filled in. Parameters, query and
 * headers arrive as text and are converted to what their schema asks for. Each schema is compiled when it is first needed.
 */
export function buildValidator (externalSchemas: Parameters<Build>[0]): Compile {
  const key = componentsKey(externalSchemas)
  const known = compilers.get(key) ?? compilerFor(externalSchemas)
  compilers.set(key, known)
  return known
}

function compilerFor (externalSchemas: Parameters<Build>[0]): Compile {
  const build: Build = AjvCompiler()
  const body = build(externalSchemas, { customOptions: asSent })
  const rest = build(externalSchemas, { customOptions: fromText })
  return (route) => {
    let compiled: Validate | undefined
    const { httpPart, schema } = route as { httpPart?: string, schema: FromText }
    const integers = httpPart === 'body' ? [] : integersIn(schema)
    const validate = (data: unknown) => {
      const odd = integers.find((name) => isOdd((data as Record<string, unknown>)[name]))
      if (odd !== undefined) {
        validate.errors = [{ keyword: 'type', instancePath: `/${odd}`, schemaPath: '', params: {}, message: 'must be an integer, in plain digits' }]
        return false
      }
      compiled ??= httpPart === 'body' ? body(route) : rest(route)
      const isValid = compiled(data)
      // Where the framework looks for them.
      validate.errors = compiled.errors
      return isValid
    }
    validate.errors = null as Validate['errors']
    return validate as Validate
  }
}

interface FromText {
  readonly properties?: Readonly<Record<string, { readonly type?: string }>>
}

const integersIn = ({ properties = {} }: FromText) => Object.keys(properties).filter((name) => properties[name]?.type === 'integer')

/** An integer that is not written in plain digits: the conversion would also take "1.", " 1" and "0x1". */
const isOdd = (text: unknown) => typeof text === 'string' && !/^-?\d{1,15}$/.test(text)

const compiledBodies = new WeakMap<object, Validate>()

/** Compiles a schema, once, for values that come as bodies do and are not checked by a route, such as lines of a file. */
export function compileBody (schema: object): Validate {
  const known = compiledBodies.get(schema) ??
    AjvCompiler()({}, { customOptions: asSent })({ schema, httpPart: 'body', method: '', url: '' })
  compiledBodies.set(schema, known)
  return known
}
