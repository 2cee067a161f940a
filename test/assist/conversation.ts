import { type Fault } from '../../src/mistral-sim/index.ts'
import { type TestApp } from '../helper.ts'

export interface Message { id: string, seq: number, content: string }
export interface Exchange { reply: string, userMessage: Message, botMessage: Message }
export interface Usage { promptTokens: number, completionTokens: number, totalTokens: number, costUsd?: number, estimated?: true }
export interface Session { title: string | null, branchId: string, upkeep?: Usage }
export interface Summary {
  text: string
  throughSeq: number
  messageCount: number
  source: string
  model: string | null
  usage?: Usage
}
export interface Problem { code: string, detail: string }
export interface Prompt { messages: Array<{ role: string, content: string }> }

/** An entry of the simulator's script: the model says this. */
export const says = (content: string): { fault: Fault } => ({ fault: { content } })
/** What tells a call for a title, and one for a summary, from others. */
export const naming = 'You name conversations'
export const recording = 'You keep the record'

/** A conversation, with everything done that is done behind its turns before the next thing is. */
export async function converse ({ app, client }: Pick<TestApp, 'app' | 'client'>, config: object) {
  const session = await client.converse({ ...config })
  const settled = async <T>(answer: Promise<{ status: number, body: T }>): Promise<T> => {
    const { body } = await answer
    await app.upkeep.idle()
    return body
  }
  const path = `/api/sessions/${session}`
  return {
    path,
    id: session,
    say: async (message: string) => await settled(client.ask<Exchange>(`${path}/messages`, { body: { message } })),
    edit: async (id: string, message: string) =>
      await settled(client.ask<Exchange>(`${path}/messages/${id}`, { method: 'PUT', body: { message } })),
    erase: async (id: string) => await client.ask(`${path}/messages/${id}`, { method: 'DELETE' }),
    clear: async () => await client.ask(`${path}/messages`, { method: 'DELETE' }),
    get: async () => (await client.ask<Session>(path)).body,
    summarise: async () => await client.ask<Summary>(`${path}/summary`, { method: 'POST' }),
    summary: async () => await client.ask<Summary>(`${path}/summary`)
  }
}

interface Keeping {
  readonly repository: object
  readonly method: string
}

/** Where titles and summaries are kept. */
export function keepingOf ({ store: { sessions, upkeep } }: TestApp['app']): Record<'title' | 'summary', Keeping> {
  return { title: { repository: sessions, method: 'record' }, summary: { repository: upkeep, method: 'keepSummary' } }
}

/** Does something once, right before what was made is kept. */
export function before ({ repository, method }: Keeping, work: () => Promise<void>): void {
  Object.assign(repository, {
    [method]: async (...made: unknown[]): Promise<unknown> => {
      Reflect.deleteProperty(repository, method)
      await work()
      return await (Reflect.get(repository, method) as (...made: unknown[]) => Promise<unknown>).apply(repository, made)
    }
  })
}

/** Configurations with one of the two switched on. */
export const titled = { titles: true }
export const summed = { summaries: true, historyLimit: 4 }
