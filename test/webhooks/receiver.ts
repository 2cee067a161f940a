import { type IncomingHttpHeaders } from 'node:http'
import { text } from 'node:stream/consumers'
import { type Test } from 'tap'
import { startLoopback } from '../oauth/loopback-server.ts'

/** A request as it came. */
export interface Received {
  readonly path: string
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

export interface Answer {
  readonly status: number
  readonly headers?: Record<string, string>
  readonly body?: string
}

/** Somebody else's server, which is told of events. Each path stands for an endpoint of its own. */
export interface Receiver {
  readonly url: string
  /** What the next requests for a path are answered with, one after the other; after them it is 204. */
  readonly script: (path: string, ...answers: Answer[]) => void
  /** The next request for a path that was not asked for yet. */
  readonly next: (path: string) => Promise<Received>
  /** How many there are that were not asked for. */
  readonly unseen: (path: string) => number
}

class Lane {
  readonly answers: Answer[] = []
  readonly come: Received[] = []
  readonly waiting: Array<(received: Received) => void> = []
}

export async function startReceiver (test: Test): Promise<Receiver> {
  const lanes = new Map<string, Lane>()
  const laneOf = (path: string) => lanes.get(path) ?? lanes.set(path, new Lane()).get(path)!
  const { url } = await startLoopback(test, () => (request, response) => {
    const path = request.url!
    const { answers, come, waiting } = laneOf(path)
    text(request).then((body) => {
      const { status, headers, body: said } = answers.shift() ?? { status: 204 }
      response.writeHead(status, headers).end(said)
      const received = { path, headers: request.headers, body }
      const first = waiting.shift()
      if (first) first(received)
      else come.push(received)
    }, () => {})
  })
  return {
    url,
    script (path, ...answers) { laneOf(path).answers.push(...answers) },
    async next (path) {
      const { come, waiting } = laneOf(path)
      return come.shift() ?? await new Promise((resolve) => { waiting.push(resolve) })
    },
    unseen: (path) => laneOf(path).come.length
  }
}

/** Its headers, as libraries for receivers take them. */
export function headersOf ({ headers }: Received): Record<string, string> {
  return Object.fromEntries(['webhook-id', 'webhook-timestamp', 'webhook-signature'].map((name) => [name, String(headers[name])]))
}
