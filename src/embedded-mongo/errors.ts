import { type Document } from './values/values.ts'

/** MongoDB's numeric error codes and their names, as far as this server answers them. */
const CODE_NAMES = {
  1: 'InternalError',
  2: 'BadValue',
  9: 'FailedToParse',
  13: 'Unauthorized',
  14: 'TypeMismatch',
  15: 'Overflow',
  16: 'InvalidLength',
  20: 'IllegalOperation',
  22: 'InvalidBSON',
  26: 'NamespaceNotFound',
  27: 'IndexNotFound',
  28: 'PathNotViable',
  40: 'ConflictingUpdateOperators',
  43: 'CursorNotFound',
  48: 'NamespaceExists',
  50: 'MaxTimeMSExpired',
  52: 'DollarPrefixedFieldName',
  56: 'EmptyFieldName',
  59: 'CommandNotFound',
  66: 'ImmutableField',
  67: 'CannotCreateIndex',
  72: 'InvalidOptions',
  73: 'InvalidNamespace',
  85: 'IndexOptionsConflict',
  86: 'IndexKeySpecsConflict',
  115: 'CommandNotSupported',
  168: 'InvalidPipelineOperator',
  171: 'CannotIndexParallelArrays',
  197: 'InvalidIndexSpecificationOption',
  237: 'CursorKilled',
  292: 'QueryExceededMemoryLimitNoDiskUseAllowed',
  352: 'UnsupportedOpQueryCommand',
  10334: 'BSONObjectTooLarge',
  12051: 'CursorInUse',
  11000: 'DuplicateKey',
  31249: 'Location31249',
  31253: 'Location31253',
  31254: 'Location31254',
  15958: 'Location15958',
  15959: 'Location15959',
  17217: 'Location17217',
  40272: 'Location40272',
  51272: 'Location51272',
  40323: 'Location40323',
  40324: 'Location40324',
  40352: 'Location40352',
  40414: 'Location40414',
  40415: 'Location40415',
  51091: 'Location51091',
  51108: 'Location51108'
} as const

/** An error code this server knows the name of. */
export type ErrorCode = keyof typeof CODE_NAMES

/** An error the client is told: MongoDB's code, its name, a message and for duplicates the key. */
export class CommandError extends Error {
  readonly code: ErrorCode
  readonly details: Document

  constructor (code: ErrorCode, message: string, details: Document = {}) {
    super(message)
    this.code = code
    this.details = details
  }

  get codeName (): string {
    return CODE_NAMES[this.code]
  }
}

/** What any thrown value is to the client; the unforeseen is code 1, InternalError. */
export function toCommandError (error: unknown): CommandError {
  if (error instanceof CommandError) return error
  return new CommandError(1, error instanceof Error ? error.message : String(error))
}

/** The reply of a command that failed as a whole. */
export function errorReply (error: CommandError): Document {
  return { ok: 0, errmsg: error.message, code: error.code, codeName: error.codeName, ...error.details }
}
