import { Client, type ClientOptions, createTransport, type Event, type Exception, type StackFrame } from '@sentry/core'
import { describeError, type LoggedError } from '../../src/logging.ts'
import { type ErrorTracker } from '../error-tracking.ts'

const SEND_TIMEOUT_MS = 2000
const PLACE = /^ {4}at (?:(.+?) \()?(.+?):(\d+):(\d+)\)?$/

/** The SDK's client without what it would find out by itself: it sends the events that it is given. */
class Reporter extends Client {
  constructor (options: ClientOptions) {
    super(options)
    this.init()
  }

  async eventFromException (): Promise<Event> {
    return {}
  }

  async eventFromMessage (): Promise<Event> {
    return {}
  }
}

/** The outermost first, as Sentry wants them. */
function framesOf (stack: string): StackFrame[] {
  return stack.split('\n').flatMap((line) => {
    const [, name, file, row, column] = PLACE.exec(line) ?? []
    return file === undefined ? [] : [{ ...(name !== undefined && { function: name }), filename: file, lineno: Number(row), colno: Number(column) }]
  }).reverse()
}

/** The cause first, as Sentry wants them. */
function exceptionsOf ({ type, message, stack, cause }: LoggedError): Exception[] {
  return [...(cause ? exceptionsOf(cause) : []), { type, value: message, stacktrace: { frames: framesOf(stack) } }]
}

/** Reports to Sentry, or what speaks as it does: what the log would have of an error, and nothing of its request but the route. */
export function createTracker ({ dsn, environment, release }: { dsn: string, environment: string, release: string }): ErrorTracker {
  const client = new Reporter({
    dsn,
    environment,
    release,
    integrations: [],
    stackParser: () => [],
    sendClientReports: false,
    transport: (options) => createTransport(options, async ({ body }) => {
      const { status, headers } = await fetch(options.url, { method: 'POST', body: body as string | Uint8Array<ArrayBuffer>, signal: AbortSignal.timeout(SEND_TIMEOUT_MS) })
      return { statusCode: status, headers: { 'x-sentry-rate-limits': headers.get('x-sentry-rate-limits'), 'retry-after': headers.get('retry-after') } }
    })
  })
  return {
    report (error, where) {
      client.captureEvent({ level: 'error', platform: 'node', exception: { values: exceptionsOf(describeError(error)) }, tags: where })
    },
    async close () {
      await client.close(SEND_TIMEOUT_MS)
    }
  }
}
