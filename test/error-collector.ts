import { text } from 'node:stream/consumers'
import { type Test } from 'tap'
import { startLoopback } from './oauth/loopback-server.ts'

export interface Reported {
  readonly level: string
  readonly release: string
  readonly exception: { readonly values: Array<{ readonly type: string, readonly value: string, readonly stacktrace: { readonly frames: Array<{ readonly filename: string, readonly lineno: number }> } }> }
  readonly tags: Record<string, string>
}

interface Collector {
  /** For SENTRY_DSN. */
  readonly dsn: string
  readonly envelopes: Array<{ readonly url: string | undefined, readonly lines: string[] }>
  readonly events: () => Reported[]
  /** Resolves when there is such an event. */
  readonly told: (isIt: (event: Reported) => boolean) => Promise<Reported>
}

/** What stands in for Sentry. */
export async function startCollector (t: Test): Promise<Collector> {
  const envelopes: Collector['envelopes'] = []
  let arrived = Promise.withResolvers<void>()
  const { url } = await startLoopback(t, () => (request, response) => {
    void text(request).then((body) => {
      envelopes.push({ url: request.url, lines: body.split('\n') })
      response.end('{}')
      arrived.resolve()
      arrived = Promise.withResolvers()
    })
  })
  const events = () => envelopes.filter(({ lines }) => lines[1]?.includes('"type":"event"')).map(({ lines }) => JSON.parse(lines[2]!) as Reported)
  return {
    dsn: url.replace('//', '//0123abcd@') + '/42',
    envelopes,
    events,
    async told (isIt) {
      for (;;) {
        const { promise } = arrived
        const event = events().find(isIt)
        if (event) return event
        await promise
      }
    }
  }
}
