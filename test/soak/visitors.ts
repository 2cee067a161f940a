import { randomUUID } from 'node:crypto'
import { type Client } from '../helper.ts'

// So many sessions are talked in at a time; each is left for a new one some day, as people do.
const SESSIONS = 100

function outcomeOf ({ status, body }: { status: number, body: object }): string {
  return 'code' in body ? `${status} ${String(body.code)}` : String(status)
}

/** What people do with a server, picked at random; what was acknowledged is kept to be looked for. */
export class Visitors {
  readonly acknowledged: string[] = []
  /** How often each outcome came: a status, with the code of a problem, or that the connection broke. */
  readonly outcomes = new Map<string, number>()
  readonly #client: Client
  readonly #configId: string
  readonly #sessions: string[] = []
  readonly #left: string[] = []
  readonly #out = new Set<Promise<void>>()

  constructor (client: Client, configId: string) {
    this.#client = client
    this.#configId = configId
  }

  get out (): number {
    return this.#out.size
  }

  /** One more comes in, whether or not the others have been served. */
  enter (): void {
    const visit = this.visit().finally(() => this.#out.delete(visit))
    this.#out.add(visit)
  }

  async allLeft (): Promise<void> {
    await Promise.all(this.#out)
  }

  /** Everybody says one more thing in every session. What a turn has left that was cut off is put in order by the next one. */
  async sayGoodbye (): Promise<string[]> {
    const outcomes = new Set<string>()
    for (const session of [...this.#left, ...this.#sessions]) outcomes.add(await this.#send(session))
    return [...outcomes]
  }

  async visit (): Promise<void> {
    try {
      this.#note(await this.#act(Math.random()))
    } catch (error) {
      const { message, cause } = error as Error
      this.#note(`broken off: ${cause instanceof Error ? cause.message : message}`)
    }
  }

  async #act (dice: number): Promise<string> {
    if (this.#sessions.length < SESSIONS || dice < 0.03) return await this.#open()
    const session = this.#sessions[Math.floor(Math.random() * this.#sessions.length)]!
    if (dice < 0.2) return outcomeOf(await this.#client.ask(`/api/sessions/${session}/messages?limit=20`))
    if (dice < 0.25) return outcomeOf(await this.#client.ask('/api/sessions?limit=20'))
    if (dice < 0.5) return await this.#stream(session, dice < 0.3)
    return await this.#send(session)
  }

  async #open (): Promise<string> {
    const answer = await this.#client.ask<{ id: string }>('/api/sessions', { body: { configId: this.#configId } })
    if (answer.status === 201) this.#sessions.push(answer.body.id)
    if (this.#sessions.length > SESSIONS) this.#left.push(this.#sessions.shift()!)
    return outcomeOf(answer)
  }

  #question (): { body: object, headers: Record<string, string> } {
    return { body: { message: `Where is parcel ${randomUUID()}?` }, headers: { 'idempotency-key': randomUUID() } }
  }

  async #send (session: string): Promise<string> {
    const answer = await this.#client.ask<{ botMessage: { id: string } }>(`/api/sessions/${session}/messages?onBusy=queue`, this.#question())
    if (answer.status === 200) this.acknowledged.push(answer.body.botMessage.id)
    return outcomeOf(answer)
  }

  /** Some leave in the middle of the answer, which goes on without them. */
  async #stream (session: string, leaves: boolean): Promise<string> {
    const leaving = new AbortController()
    const { response, events } = await this.#client.events(`/api/sessions/${session}/messages?onBusy=queue`, { ...this.#question(), signal: leaving.signal })
    if (!response.ok) return outcomeOf({ status: response.status, body: await response.json() as object })
    let id: string | undefined
    let outcome = 'stream without an end'
    for await (const { event, data } of events) {
      if (event === 'message.started') id = (data['botMessage'] as { id: string }).id
      if (event === 'message.completed' && id !== undefined) this.acknowledged.push(id)
      if (event === 'message.delta' && leaves) break
      outcome = event === 'message.failed' ? `stream: ${String((data['problem'] as { code: string }).code)}` : `stream: ${event}`
    }
    leaving.abort()
    return leaves ? 'left' : outcome
  }

  #note (outcome: string): void {
    this.outcomes.set(outcome, (this.outcomes.get(outcome) ?? 0) + 1)
  }
}
