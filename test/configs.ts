import { type ConfigView, type PageView } from './edge.ts'
import { type Client, type RequestOptions } from './helper.ts'

export interface HeadView { version: number, note: string | null, createdAt: string }
export interface VersionView extends HeadView { settings: Partial<ConfigView> }
export interface DiffView { version: number, with: number | null, changes: Array<{ path: string, from?: unknown, to?: unknown }> }
export interface DocumentView { format: string, formatVersion: number, exportedAt: string, config: Partial<ConfigView>, versions: VersionView[] }

export const path = (id: string, rest = '') => `/api/configs/${id}${rest}`

/** What is asked of configurations and their versions. */
export function configRequests (client: Client) {
  const ask = async <T = ConfigView>(id: string, rest = '', options?: RequestOptions) => await client.ask<T>(path(id, rest), options)
  const put = async (id: string, body: unknown) => await ask(id, '', { method: 'PUT', body })
  const patch = async (id: string, body: unknown) => await ask(id, '', { method: 'PATCH', body })
  const rollback = async (id: string, body: unknown, headers: Record<string, string> = {}) => await ask(id, '/rollback', { body, headers })
  const versionsOf = async (id: string) => (await ask<PageView<HeadView>>(id, '/versions?limit=100')).body.data
  return {
    ask,
    put,
    patch,
    rollback,
    versionsOf,
    numbersOf: async (id: string) => (await versionsOf(id)).map(({ version }) => version),
    versionOf: async (id: string, version: number) => (await ask<VersionView>(id, `/versions/${version}`)).body,
    /** A configuration that has been changed in each of the four ways. */
    changed: async (): Promise<string> => {
      const id = await client.createConfig({ purpose: 'One.', note: 'The first.', domain: ['a'] })
      await put(id, { purpose: 'Two.', note: 'Rewritten.', model: { temperature: 1 } })
      await patch(id, { tone: { style: 'formal' }, model: { temperature: null, maxTokens: 5 } })
      await rollback(id, { version: 1, note: 'Back.' })
      return id
    }
  }
}
