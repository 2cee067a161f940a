import { OneOf, Type, closed, type Static } from './type.ts'

/** From the least severe; what is set is written, and all that is more severe. */
export const logLevels = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const

export const LogLevel = Type.Object({
  level: OneOf(logLevels, { description: 'The least severe level that is written; `silent`: nothing is.' })
}, { ...closed, $id: 'LogLevel', description: 'How much is written to the log.', examples: [{ level: 'debug' }] })
export type LogLevel = Static<typeof LogLevel>
