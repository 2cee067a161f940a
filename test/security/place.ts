import { nobody } from '../edge.ts'
import { type Client } from '../helper.ts'
import { type Kind } from './names.ts'

/** What a tenant has, by its kind. */
export interface Place extends Readonly<Record<Exclude<Kind, 'cursor'>, string>> {
  /** Stands in every text that somebody wrote here. */
  readonly mark: string
  /** The message of the user that `message` answers. */
  readonly said: string
}

interface Exchange { readonly userMessage: { readonly id: string }, readonly botMessage: { readonly id: string } }

/** Fills a tenant with some of everything. */
export async function furnish (client: Client, mark: string, user: string): Promise<Place> {
  const ask = async <T = { id: string }>(path: string, body: unknown, method = 'POST') => {
    const answer = await client.ask<T>(path, { method, body })
    if (answer.status >= 300) throw new Error(`${method} ${path}: ${answer.status} ${JSON.stringify(answer.body)}`)
    return answer.body
  }
  const { id: specification } = await ask('/api/specifications', { brief: `A bot for ${mark}. It knows all parcels.` })
  await ask('/api/specifications', { brief: `Another ${mark}.` })
  const config = await client.createConfig({
    purpose: `Help with ${mark}.`, name: mark, instructions: `The ${mark} is open on Mondays.`, domain: [mark], note: mark, specificationId: specification
  })
  await ask(`/api/configs/${config}`, { tone: { style: mark }, note: `${mark} again` }, 'PATCH')
  await client.createConfig({ purpose: mark })
  const session = await client.createSession(config, { userId: user, title: mark, metadata: { [mark]: mark } })
  await client.createSession(config, { userId: user, title: mark })
  const messages = `/api/sessions/${session}/messages`
  const first = await ask<Exchange>(messages, { message: `When is the ${mark} open?` })
  const second = await ask<Exchange>(`${messages}/${first.botMessage.id}/regenerate`, undefined)
  for (const { botMessage } of [first, second]) {
    await ask(`${messages}/${botMessage.id}/feedback`, { rating: 'up', comment: mark, tags: [mark] }, 'PUT')
  }
  const { branchId } = await ask<{ branchId: string }>(`/api/sessions/${session}`, { metadata: { mark } }, 'PATCH')
  await ask(`/api/sessions/${session}/summary`, undefined)
  await ask('/api/end-users/left-before', undefined, 'DELETE')
  const { id: erasure } = await ask('/api/end-users/left', undefined, 'DELETE')
  return {
    mark, user, specification, config, session, branch: branchId, erasure, message: second.botMessage.id, said: first.userMessage.id
  }
}

/** A name like `name` that nothing has; `id` stands in for the identifiers in it. */
export function unknownLike (kind: Kind, name: string, id = nobody): string {
  if (kind === 'user') return 'nobody-at-all'
  const ids = /[0-9a-f]{24}/g
  if (kind !== 'cursor' || ids.test(name)) return name.replaceAll(ids, id)
  const position = Buffer.from(name, 'base64url').toString('latin1')
  return ids.test(position) ? Buffer.from(position.replaceAll(ids, id), 'latin1').toString('base64url') : name
}
