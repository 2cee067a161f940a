import t from 'tap'
import { JWT_SECRET } from '../edge.ts'
import { startApp, type Client } from '../helper.ts'

interface Entry {
  id: string
  at: string
  action: string
  actor: Record<string, unknown>
  target: { type: string, id: string | null }
  before: unknown
  after: unknown
  status: number | null
  ip: string
  userAgent: string | null
  requestId: string
}

/** Operations that change something and are not noted, and why. */
const unnoted: Record<string, string> = {
  createSession: 'part of a conversation, which tells of itself',
  patchSession: 'part of a conversation: its change log tells of it',
  sendMessage: 'is the conversation',
  editMessage: 'is the conversation',
  regenerateMessage: 'is the conversation',
  stopMessage: 'is the conversation',
  rateMessage: 'what a reader thinks: its change log tells of it',
  unrateMessage: 'what a reader thinks: its change log tells of it',
  createSpecification: 'a draft configures nothing until it is made a configuration'
}

const { app, client } = await startApp(t, { JWT_SECRET })

async function entries (query: Record<string, string>, who: Client = client): Promise<Entry[]> {
  const { body } = await who.ask<{ data: Entry[] }>(`/api/audit?${new URLSearchParams(query).toString()}`)
  return body.data
}

t.test('a change is noted with what was and what is', async (t) => {
  const created = await client.ask<{ id: string }>('/api/configs', { body: { purpose: 'Help.', model: { maxTokens: 100 } } })
  const { id } = created.body
  await client.ask(`/api/configs/${id}`, { method: 'PATCH', body: { historyLimit: 7 }, headers: { 'user-agent': 'x'.repeat(300) } })
  await client.ask(`/api/configs/${id}`, { method: 'DELETE' })
  const [deleted, updated, made] = await entries({ targetId: id })
  t.match(made, {
    action: 'config.created',
    target: { type: 'config', id },
    before: null,
    after: { id, purpose: 'Help.', model: { maxTokens: 100 } },
    status: 201,
    ip: '127.0.0.1',
    requestId: created.headers.get('x-request-id'),
    actor: { kind: 'api-key', id: /^.{8,}$/, keyId: /./, role: null }
  })
  t.match(updated, { action: 'config.updated', status: 200, userAgent: 'x'.repeat(256) })
  t.match(updated?.before, { version: 1, historyLimit: 20 })
  t.same(Object.keys(updated?.before as object).sort(), ['historyLimit', 'updatedAt', 'version'], 'only what differs')
  t.match(deleted, { action: 'config.deleted', status: 204, before: { historyLimit: 7 }, after: null })
})

t.test('every operation that changes something is noted, or it is said here why it is not', async (t) => {
  const { paths } = app.swagger() as unknown as { paths: Record<string, Record<string, { operationId: string, 'x-audit'?: string }>> }
  const silent = Object.values(paths).flatMap((methods) => Object.entries(methods)
    .filter(([method, operation]) => method !== 'get' && operation['x-audit'] === undefined)
    .map(([, { operationId }]) => operationId))
  t.same(silent.sort(), Object.keys(unnoted).sort(), 'declare `audit` in the config of the route')
})
