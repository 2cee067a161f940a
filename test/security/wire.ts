import { type Readable } from 'node:stream'
import { Pool } from 'undici'

export interface Asked {
  readonly method: string
  /** As it goes out: nothing of it is tidied. */
  readonly path: string
  readonly headers?: Readonly<Record<string, string | string[]>>
  readonly body?: string
  /** Takes an API key and no other credential. */
  readonly byKey?: boolean
  /** Is for people who have signed in. */
  readonly byAccount?: boolean
}

export interface Heard {
  readonly status: number
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  /** The whole body; of events, what comes first. */
  readonly text: string
}

/** Talks to an app by connections that stay open, and sends paths and headers as they are. */
export class Wire {
  readonly #pool: Pool

  constructor (url: string) {
    this.#pool = new Pool(url, { connections: 8 })
  }

  async ask ({ method, path, headers = {}, body }: Asked): Promise<Heard> {
    const type = body === undefined ? {} : { 'content-type': 'application/json' }
    const response = await this.#pool.request({ method, path, headers: { ...type, ...headers }, body: body ?? null })
    const isEvents = String(response.headers['content-type']).startsWith('text/event-stream')
    return {
      status: response.statusCode,
      headers: response.headers,
      text: isEvents ? await firstOf(response.body) : await response.body.text()
    }
  }

  async close (): Promise<void> {
    await this.#pool.destroy()
  }
}

/** What comes first of events, which may have no end. */
async function firstOf (body: Readable): Promise<string> {
  const { value } = await body[Symbol.asyncIterator]().next() as { value?: Buffer }
  body.destroy()
  return String(value)
}
