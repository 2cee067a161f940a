import SerializerSelector, { type SerializerCompiler, type SerializerFactory } from '@fastify/fast-json-stringify-compiler'
import { LRUCache } from 'lru-cache'
import { componentsKey } from './components-key.ts'

type Serialize = ReturnType<SerializerCompiler>

const compilerFor = SerializerSelector()

// By the components that they refer to.
const compilers = new LRUCache<string, SerializerCompiler>({ max: 8 })

/**
 * Compiles each response schema once, and not before a response needs it: together they would take most of the time
 * until the server listens.
 */
export const buildSerializer: SerializerFactory = (externalSchemas, options) => {
  const key = componentsKey(externalSchemas)
  const known = compilers.get(key) ?? compileOnce(compilerFor(externalSchemas, options))
  compilers.set(key, known)
  return known
}

function compileOnce (compile: SerializerCompiler): SerializerCompiler {
  const compiled = new Map<string, Serialize>()
  return (route) => {
    const key = JSON.stringify(route.schema)
    let serialize: Serialize | undefined
    return (data) => {
      serialize ??= compiled.get(key) ?? compile(route)
      compiled.set(key, serialize)
      return serialize(data)
    }
  }
}
