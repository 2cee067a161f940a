import { wrongLine } from './lines.ts'

/** What a schema makes of a value. */
export interface Check {
  (value: unknown): unknown
  errors?: ReadonlyArray<{ instancePath?: string, message?: string }> | null
}

/** Compiles a schema as bodies are checked; each once, however often it is asked for. */
export type Compile = (schema: object) => Check

/** A record that fits a schema. Throws `validation_failed` with its line. */
export function fitting<T> (compile: Compile, schema: object, record: unknown, line: number): T {
  const check = compile(schema)
  if (check(record) === true) return record as T
  const { message, instancePath } = check.errors![0]!
  throw wrongLine(line, message!, instancePath)
}
