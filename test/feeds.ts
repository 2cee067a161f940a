import { type Test } from 'tap'
import { type Client, type SentEvent } from './helper.ts'

/** A reader of a feed, who leaves with the test at the latest. */
export class FeedReader {
  readonly response: Response
  readonly #events: AsyncIterator<SentEvent>
  readonly #leaving: AbortController

  private constructor (response: Response, events: AsyncIterable<SentEvent>, leaving: AbortController) {
    this.response = response
    this.#events = events[Symbol.asyncIterator]()
    this.#leaving = leaving
  }

  static async open (test: Test, client: Client, path: string, lastEventId?: string): Promise<FeedReader> {
    const leaving = new AbortController()
    test.teardown(() => leaving.abort())
    const headers: Record<string, string> = lastEventId === undefined ? {} : { 'last-event-id': lastEventId }
    const { response, events } = await client.events(path, { headers, signal: leaving.signal })
    if (response.status !== 200) throw new Error(`${path}: ${response.status} ${await response.text()}`)
    return new FeedReader(response, events, leaving)
  }

  /** The next event; undefined at the end. */
  async next (): Promise<SentEvent | undefined> {
    const { done, value } = await this.#events.next() as { done?: boolean, value: SentEvent }
    return done ? undefined : value
  }

  /** Events up to the first that `isLast` says yes to, or to the end. */
  async until (isLast: (event: SentEvent) => boolean): Promise<SentEvent[]> {
    const events: SentEvent[] = []
    for (let event = await this.next(); event; event = await this.next()) {
      events.push(event)
      if (isLast(event)) break
    }
    return events
  }

  /** Events up to the first with this name, or to the end. */
  async untilEvent (name: string): Promise<SentEvent[]> {
    return await this.until(({ event }) => event === name)
  }

  leave (): void {
    this.#leaving.abort()
  }
}

export interface Told extends SentEvent {
  /** With the end of a reply: what its deltas make up. */
  readonly text?: string
}

/** The same for all who are told the same, however the text was cut into pieces and whoever asked. */
export function told (events: readonly SentEvent[]): Told[] {
  const texts = new Map<string, string>()
  return events.filter(({ event }) => !['feed.started', 'stream.reconnect'].includes(event)).flatMap(({ event, id, data }) => {
    if (event === 'message.delta') {
      const { messageId, offset, delta } = data as { messageId: string, offset: number, delta: string }
      const before = texts.get(messageId)
      if (before !== undefined && before.length !== offset) throw new Error(`a delta at ${offset}, not at ${before.length}`)
      texts.set(messageId, (before ?? '') + delta)
      return []
    }
    const { problem, ...rest } = data as { problem?: { code: string }, botMessage?: { id: string } }
    const hasEnded = /^message\.(completed|stopped|failed|interrupted)$/.test(event)
    return [{
      event,
      id,
      data: { ...rest, ...(problem && { problem: problem.code }) },
      ...(hasEnded && { text: texts.get(rest.botMessage!.id) ?? '' })
    }]
  })
}
