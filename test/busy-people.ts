import { type Client } from './helper.ts'
import { type MessageView } from './replicas.ts'

interface Exchange {
  readonly userMessage: MessageView
  readonly botMessage: MessageView
}

/** People who talk, rate, edit, erase, clear, delete and begin anew, each in one session after the other, until they are told to stop. */
export class BusyPeople {
  /** What was acknowledged and nobody has asked to remove: content by message. */
  readonly kept = new Map<string, string>()
  readonly #client: Client
  readonly #done: Promise<unknown>
  #isStopping = false
  #sent = 0

  constructor (client: Client, configIds: readonly string[], people: number) {
    this.#client = client
    this.#done = Promise.all(Array.from({ length: people }, async (_, i) => {
      // Until the server is gone.
      await this.#live(configIds[i % configIds.length]!, i).catch((error: unknown) => { if (!this.#isStopping) throw error })
    }))
  }

  get sent (): number {
    return this.#sent
  }

  /** Lets failures be: the server is about to go. */
  stop (): void {
    this.#isStopping = true
  }

  async stopped (): Promise<void> {
    this.stop()
    await this.#done
  }

  async #live (configId: string, i: number): Promise<void> {
    for (let n = 0; !this.#isStopping; n++) {
      const session = await this.#client.createSession(configId)
      const path = `/api/sessions/${session}`
      const mine: Exchange[] = []
      for (let turn = 0; turn < 12 && !this.#isStopping; turn++) mine.push(await this.#turn(path, `${i}.${n}.${turn}`, mine.at(-1)))
      if (n % 4 === 3) {
        for (const { userMessage, botMessage } of mine) for (const { id } of [userMessage, botMessage]) this.kept.delete(id)
        await this.#client.fetch(n % 8 === 3 ? path : `${path}/messages`, { method: 'DELETE' })
      }
      await this.#client.ask(`/api/configs/${configId}`, { method: 'PATCH', body: { purpose: `Help with ${i}.${n}.` } })
    }
  }

  async #turn (path: string, name: string, before: Exchange | undefined): Promise<Exchange> {
    const send = { body: { message: `Of ${name}: one two three` }, headers: { 'idempotency-key': name } }
    const ask = async () => await this.#client.ask<Exchange>(`${path}/messages?onBusy=queue`, send)
    let { status, body } = await ask()
    // A machine that is slow lets leases run out.
    while (status === 503 && !this.#isStopping) ({ status, body } = await ask())
    if (status !== 200) throw new Error(`${status} ${JSON.stringify(body)}`)
    this.#sent++
    const { userMessage, botMessage } = body
    this.kept.set(userMessage.id, userMessage.content)
    this.kept.set(botMessage.id, botMessage.content)
    if (before && this.#sent % 3 === 0) {
      await this.#client.ask(`${path}/messages/${before.botMessage.id}/feedback`, { method: 'PUT', body: { rating: this.#sent % 2 ? 'up' : 'down' } })
    }
    if (before && this.#sent % 7 === 0) {
      this.kept.delete(before.userMessage.id)
      await this.#client.fetch(`${path}/messages/${before.userMessage.id}`, { method: 'DELETE' })
    }
    return body
  }
}
