// A conversation by openapi-fetch, with the types that openapi-typescript makes of the document.
import createClient from 'openapi-fetch'
import type { paths } from './parley.ts'

function must (holds: boolean, what: string, value?: unknown): asserts holds {
  if (!holds) throw new Error(`${what}: ${JSON.stringify(value)}`)
}

const { PARLEY_URL: baseUrl, PARLEY_KEY } = process.env as { PARLEY_URL: string, PARLEY_KEY: string }
const parley = createClient<paths>({ baseUrl, headers: { authorization: `Bearer ${PARLEY_KEY}` } })

const { data: config, error: noConfig } = await parley.POST('/api/configs', {
  params: { header: { 'idempotency-key': 'configuration-1' } },
  body: { purpose: 'Answer questions about orders.', titles: false, summaries: false }
})
must(config?.version === 1, 'no configuration', noConfig)
const { data: session, error: noSession } = await parley.POST('/api/sessions', { body: { configId: config.id } })
must(session?.configId === config.id, 'no session', noSession)

const path = { id: session.id }
const { data: exchange, error: noReply } = await parley.POST('/api/sessions/{id}/messages', { params: { path }, body: { message: 'When?' } })
must(exchange !== undefined && 'reply' in exchange && exchange.reply !== '', 'no reply', noReply)

const { data: history } = await parley.GET('/api/sessions/{id}/messages', { params: { path } })
must(history?.data.map(({ role }) => role).join() === 'user,bot', 'no history', history)
const { data: page } = await parley.GET('/api/configs', { params: { query: { limit: 100 } } })
must(page?.data.some(({ id }) => id === config.id) === true, 'no list', page)

const { error: problem, response } = await parley.GET('/api/sessions/{id}', { params: { path: { id: '0'.repeat(24) } } })
must(response.status === 404 && problem?.code === 'not_found' && problem.requestId !== '', 'not a problem that one can read', problem)
