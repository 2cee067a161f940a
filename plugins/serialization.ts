import SerializerSelector, { type SerializerCompiler, type SerializerFactory } from '@fastify/fast-json-stringify-compiler'

const compilerFor = SerializerSelector()

/**
 * Compiles each response schema once. Nearly every response of every route refers to the same few components, and
 * compiling them anew each time is what would take longest when the server starts.
 */
export const buildSerializer: SerializerFactory = (externalSchemas, options) => {
  const compile: SerializerCompiler = compilerFor(externalSchemas, options)
  const compiled = new Map<string, ReturnType<SerializerCompiler>>()
  return (route) => {
    const key = JSON.stringify(route.schema)
    const serialize = compiled.get(key) ?? compile(route)
    compiled.set(key, serialize)
    return serialize
  }
}
