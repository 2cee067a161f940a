import { demonstration, type Demonstrated } from './demonstration.ts'

// A reply may take as long as its model.
const ANSWER_MS = 150_000

interface Page<T> {
  readonly data: readonly T[]
  readonly nextCursor: string | null
}

interface NamedConfig {
  readonly id: string
  readonly name: string
}

interface FoundSession {
  readonly id: string
  readonly metadata: Readonly<Record<string, unknown>>
}

interface Exchange {
  readonly botMessage: { readonly id: string, readonly feedback?: object }
}

interface Problem {
  readonly code?: string
  readonly detail?: string
}

/** Where the demonstration is, for who wants to look at it. */
export interface Seeded {
  readonly configs: readonly NamedConfig[]
  readonly sessions: readonly string[]
}

/** What cannot be, in words for whoever has asked for it. */
export class SeedError extends Error {
  override readonly name = 'SeedError'
}

/** Puts the demonstration into the tenant of a key, through the API. What is there already is left as it is; what was cut off goes on. */
export class Seeder {
  readonly #url: string
  readonly #key: string

  constructor (url: string, key: string) {
    this.#url = url
    this.#key = key
  }

  /** `besideOthers`: also where there are chatbots that are not of the demonstration. */
  async seed (besideOthers: boolean): Promise<Seeded> {
    const known = await this.#all<NamedConfig>('/api/configs?limit=100')
    const other = known.find(({ name }) => !demonstration.some(({ config }) => config.name === name))
    if (other && !besideOthers) throw new SeedError(`there are chatbots already, such as "${other.name}". With --beside-others the demonstration is put beside them.`)
    const configs: NamedConfig[] = []
    const sessions: string[] = []
    for (const { config, conversations } of demonstration) {
      const { id, name } = known.find(({ name }) => name === config.name) ?? await this.#ask<NamedConfig>('POST', '/api/configs', config)
      configs.push({ id, name })
      const held = await this.#all<FoundSession>(`/api/sessions?configId=${id}&limit=100`)
      for (const conversation of conversations) sessions.push(await this.#converse(id, conversation, held))
    }
    return { configs, sessions }
  }

  async #converse (configId: string, { name, userId, says, rating }: Demonstrated['conversations'][number], held: readonly FoundSession[]): Promise<string> {
    const found = held.find(({ metadata }) => metadata['demonstration'] === name)
    const { id } = found ?? await this.#ask<FoundSession>('POST', '/api/sessions', { configId, userId, metadata: { demonstration: name } })
    let last: Exchange | undefined
    // With a key, what was said before is not said again.
    for (const [i, message] of says.entries()) {
      last = await this.#ask<Exchange>('POST', `/api/sessions/${id}/messages`, { message }, { 'idempotency-key': `demonstration-${i + 1}` })
    }
    if (rating && !last!.botMessage.feedback) await this.#ask('PUT', `/api/sessions/${id}/messages/${last!.botMessage.id}/feedback`, rating)
    return id
  }

  async #all<T> (path: string): Promise<T[]> {
    const found: T[] = []
    for (let cursor: string | null = ''; cursor !== null;) {
      const page: Page<T> = await this.#ask<Page<T>>('GET', cursor === '' ? path : `${path}&cursor=${encodeURIComponent(cursor)}`)
      found.push(...page.data)
      cursor = page.nextCursor
    }
    return found
  }

  async #ask<T> (method: string, path: string, body?: object, headers: Record<string, string> = {}): Promise<T> {
    const answer = await fetch(this.#url + path, {
      method,
      headers: { 'x-api-key': this.#key, ...(body && { 'content-type': 'application/json' }), ...headers },
      ...(body && { body: JSON.stringify(body) }),
      redirect: 'error',
      signal: AbortSignal.timeout(ANSWER_MS)
    }).catch((cause: Error & { cause?: NodeJS.ErrnoException }) => {
      const why = cause.cause?.code ?? cause.name
      throw new SeedError(`nobody answers at ${this.#url} (${why}). Start Parley first, or say where it is.`, { cause })
    })
    const value: unknown = await answer.json().catch(() => ({}))
    if (answer.ok) return value as T
    const { code, detail } = value as Problem
    throw new SeedError(`${method} ${path} was refused: ${answer.status} ${[code, detail].filter(Boolean).join(', ')}`)
  }
}
