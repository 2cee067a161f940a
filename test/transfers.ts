import { type Client, type TestApp } from './helper.ts'

/** A line of an export. */
export type Line = Record<string, unknown> & { type: string, id?: string }

export interface Counts { configs: number, sessions: number, messages: number }

export const none: Counts = { configs: 0, sessions: 0, messages: 0 }

export const linesOf = (file: string) => file.trimEnd().split('\n').map((line) => JSON.parse(line) as Line)

/** Without the line that holds the time. */
export const content = (file: string) => file.slice(file.indexOf('\n'))

/** What its last line counts. */
export const countsOf = (file: string) => linesOf(file).at(-1)!['counts'] as Counts

export const exported = async (client: Client, query = '') => await (await client.fetch(`/api/export${query}`)).text()

export async function imports (client: Client, body: string) {
  const headers = { 'content-type': 'application/x-ndjson' }
  return await client.ask<{ imported: Counts, skipped: Counts }>('/api/import', { method: 'POST', body, headers })
}

interface Exchange { userMessage: { id: string }, botMessage: { id: string } }

export async function send (client: Client, session: string, message: string): Promise<Exchange> {
  return (await client.ask<Exchange>(`/api/sessions/${session}/messages`, { body: { message } })).body
}

/** A tenant with conversations that have all there is: branches, variants, ratings, erased and cleared messages. */
export async function populate ({ app, clientFor }: TestApp, tenant: string) {
  const client = await clientFor(tenant, 'admin')
  const config = await client.createConfig({
    name: 'Desk', instructions: 'Parcels arrive on Mondays.', tone: { style: 'formal', language: 'de' }
  })
  const patch = async (path: string, body: object) => await client.ask(path, { method: 'PATCH', body })
  const put = async (path: string, body: object) => await client.ask(path, { method: 'PUT', body })
  await patch(`/api/configs/${config}`, { instructions: 'Parcels arrive on Tuesdays.', note: 'Later.' })
  const rich = await client.createSession(config, {
    userId: 'anna', channel: 'web', title: 'A parcel 📦', metadata: { order: { id: 17, tags: ['a'] } }, configVersion: 1
  })
  const first = await send(client, rich, 'When does my parcel arrive?')
  const second = await send(client, rich, 'Sure?\n# No heading\n```')
  const path = `/api/sessions/${rich}/messages`
  await put(`${path}/${first.botMessage.id}/feedback`, { rating: 'up', comment: 'Good.', tags: ['quick'] })
  await put(`${path}/${first.userMessage.id}`, { message: 'When does it come?' })
  await client.ask(`${path}/${second.botMessage.id}/regenerate`, { method: 'POST', body: {} })
  await client.ask(`${path}/${second.userMessage.id}`, { method: 'DELETE' })
  const cleared = await client.createSession(config, { userId: 'berta' })
  await send(client, cleared, 'Forget this.')
  await client.ask(`/api/sessions/${cleared}/messages`, { method: 'DELETE' })
  await send(client, cleared, 'Keep this.')
  await patch(`/api/sessions/${cleared}`, { status: 'ended' })
  await client.createSession(config)
  await app.chat.purge()
  return { client, config, rich, cleared }
}
