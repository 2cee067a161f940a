import { destination, type DestinationStream, stdTimeFunctions } from 'pino'

const MAX_BUFFERED = 16_000

// A cause of a cause of a cause says nothing new.
const MAX_CAUSES = 3

/** What the log has of an error: nothing of what it carries along, which may be documents, bodies and commands with all that people wrote. */
export interface LoggedError extends Record<string, unknown> {
  readonly type: string
  readonly message: string
  readonly code?: string | number
  readonly stack: string
  readonly cause?: LoggedError
}

/** Messages of parsers and drivers quote what they were given; from the first quotation mark to the last it is left out. */
const unquoted = (message: string) => message.replace(/".*"/s, '"…"')

/** The places only: a stack begins with the message, which may have any number of lines. */
const placesOf = (stack = '') => stack.split('\n').filter((line) => /^ {4}at /.test(line)).join('\n')

function describe (error: Error, depth: number): LoggedError {
  const { code } = error as { code?: unknown }
  return {
    type: error.name,
    message: unquoted(error.message),
    ...((typeof code === 'string' || typeof code === 'number') && { code }),
    stack: placesOf(error.stack),
    ...(error.cause instanceof Error && depth < MAX_CAUSES && { cause: describe(error.cause, depth + 1) })
  }
}

/** What was thrown, for the log. Of what is no error, only the type: it may be anything. */
export function describeError (thrown: unknown): LoggedError {
  return thrown instanceof Error ? describe(thrown, 0) : { type: typeof thrown, message: '', stack: '' }
}

const nothing = () => ({})

/**
 * How the log is written: a line of JSON for each event, levels as words, times in ISO 8601. Nobody hands a request, an answer
 * or a body to it, and the framework, which does, finds serializers that keep nothing of them.
 */
export function loggerOptions (level: string) {
  return {
    level,
    timestamp: stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
    serializers: { err: describeError, req: nothing, res: nothing }
  }
}

/**
 * Standard output, for lines. Those of one turn of the event loop are written together, since each write costs as much as many lines.
 * Where nobody reads them any more, they are lost, and the process goes on.
 */
export function logStream (): DestinationStream & { flushSync (): void } {
  const output = destination({ fd: 1, sync: true })
  let lines = ''
  const flushSync = () => {
    if (lines === '') return
    const text = lines
    lines = ''
    output.write(text)
  }
  return {
    write (line) {
      if (lines === '') setImmediate(flushSync)
      lines += line
      if (lines.length > MAX_BUFFERED) flushSync()
    },
    flushSync
  }
}
