const MAX_DEPTH = 12
const MAX_LENGTH = 1000
const MAX_ITEMS = 100

type Schema = Record<string, unknown>

/**
 * The smallest instance of a JSON Schema that the common keywords ask for: `const`, `enum`, `default`, `$ref` within
 * the document, the first branch of a union, required properties, minimum lengths and numbers. Too deep: null.
 */
export function minimalInstance (root: Schema): unknown {
  return instance(root, root, 0)
}

function instance (schema: unknown, root: Schema, depth: number): unknown {
  if (!isSchema(schema) || depth > MAX_DEPTH) return null
  if ('const' in schema) return schema.const
  if (Array.isArray(schema.enum)) return schema.enum[0]
  if ('default' in schema) return schema.default
  if (typeof schema.$ref === 'string') return instance(resolve(schema.$ref, root), root, depth + 1)
  const union = schema.anyOf ?? schema.oneOf
  if (Array.isArray(union)) return instance(union[0], root, depth + 1)
  if (Array.isArray(schema.allOf)) return instance(merged(schema, schema.allOf, root), root, depth + 1)
  return byType(schema, root, depth)
}

function byType (schema: Schema, root: Schema, depth: number): unknown {
  switch (Array.isArray(schema.type) ? schema.type[0] : schema.type) {
    case 'string': return text(schema)
    case 'integer':
    case 'number': return number(schema)
    case 'boolean': return false
    case 'null': return null
    case 'array': return Array.from({ length: Math.min(numberOr(schema.minItems, 0), MAX_ITEMS) },
      () => instance(schema.items ?? { type: 'null' }, root, depth + 1))
    default: return object(schema, root, depth)
  }
}

function object (schema: Schema, root: Schema, depth: number): Record<string, unknown> {
  const properties = isSchema(schema.properties) ? schema.properties : {}
  const required = Array.isArray(schema.required) ? schema.required.map(String) : []
  return Object.fromEntries(required.map((key) => [key, instance(properties[key] ?? {}, root, depth + 1)]))
}

const EXAMPLES: Record<string, string> = {
  'date-time': '2026-01-01T00:00:00Z',
  date: '2026-01-01',
  time: '00:00:00Z',
  email: 'sim@example.com',
  uri: 'https://example.com/',
  uuid: '00000000-0000-4000-8000-000000000000'
}

function text (schema: Schema): string {
  const example = EXAMPLES[String(schema.format)]
  const least = Math.min(numberOr(schema.minLength, 0), MAX_LENGTH)
  return example ?? 'sim'.padEnd(least, '-').slice(0, numberOr(schema.maxLength, MAX_LENGTH))
}

function number (schema: Schema): number {
  const step = numberOr(schema.multipleOf, 1)
  if (typeof schema.exclusiveMinimum === 'number') return Math.floor(schema.exclusiveMinimum / step) * step + step
  if (typeof schema.minimum === 'number') return Math.ceil(schema.minimum / step) * step
  return Math.min(0, numberOr(schema.maximum, 0))
}

function merged (schema: Schema, parts: unknown[], root: Schema): Schema {
  const schemas = parts.map((part) =>
    isSchema(part) && typeof part.$ref === 'string' ? resolve(part.$ref, root) : part).filter(isSchema)
  const all = [{ ...schema, allOf: undefined }, ...schemas]
  return {
    ...Object.assign({}, ...all) as Schema,
    properties: Object.assign({}, ...all.map((part) => part.properties)) as Schema,
    required: all.flatMap((part) => Array.isArray(part.required) ? part.required.map(String) : [])
  }
}

function resolve (ref: string, root: Schema): unknown {
  let target: unknown = root
  for (const key of ref.replace(/^#\/?/, '').split('/').filter(Boolean)) {
    target = isSchema(target) ? target[key.replaceAll('~1', '/').replaceAll('~0', '~')] : undefined
  }
  return target
}

function isSchema (value: unknown): value is Schema {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function numberOr (value: unknown, otherwise: number): number {
  return typeof value === 'number' ? value : otherwise
}
