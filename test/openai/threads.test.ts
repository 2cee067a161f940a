import t from 'tap'
import { nobody } from '../edge.ts'
import { startApp } from '../helper.ts'
import { content, exported, imports, none } from '../transfers.ts'

const { client, clientFor } = await startApp(t)
const configId = await client.createConfig({ instructions: 'Orders ship on Mondays.' })

const at = 1_700_000_000
const thread = (id: string, more: object = {}) => ({ object: 'thread', id, created_at: at, metadata: { customer: '17' }, tool_resources: {}, ...more })
const message = (threadId: string, id: string, role: string, value: string, more: object = {}) => ({
  id,
  object: 'thread.message',
  created_at: at + 1,
  assistant_id: role === 'assistant' ? 'asst_1' : null,
  thread_id: threadId,
  run_id: null,
  role,
  content: [{ type: 'text', text: { value, annotations: [] } }],
  attachments: [],
  metadata: {},
  ...more
})
const file = (...records: object[]) => records.map((record) => `${JSON.stringify(record)}\n`).join('')
const send = async (text: string, query = `?configId=${configId}`, who = client) =>
  await who.ask<{ imported: Record<string, number>, skipped: Record<string, number>, errors: Array<{ path: string }> }>(`/api/import${query}`, {
    method: 'POST', body: text, headers: { 'content-type': 'application/x-ndjson' }
  })

interface Said { role: string, content: string, timestamp: string, status: string, replyTo?: string, id: string }
const sessions = async () => (await client.ask<{ data: Array<{ id: string, metadata: Record<string, string>, messageCount: number, startedAt: string }> }>('/api/sessions?limit=100')).body.data
const saidIn = async (threadId: string) => {
  const session = (await sessions()).find(({ metadata }) => metadata['openaiThreadId'] === threadId)!
  return { session, said: (await client.ask<{ data: Said[] }>(`/api/sessions/${session.id}/messages`)).body.data }
}

t.test('threads become sessions, once, however often they are sent', async (t) => {
  const text = file(
    thread('thread_1'),
    message('thread_1', 'msg_4', 'assistant', 'On Monday.', { created_at: at + 9, status: 'incomplete' }),
    message('thread_1', 'msg_3', 'user', 'When?', { created_at: at + 5, content: [{ type: 'image_file', image_file: { file_id: 'f' } }, { type: 'text', text: { value: 'When?', annotations: [] } }] }),
    message('thread_1', 'msg_2', 'assistant', 'Hello.', { metadata: { rating: 'good' } }),
    message('thread_1', 'msg_1', 'user', 'Hi.'),
    thread('thread_2', { metadata: null }),
    message('thread_3', 'msg_1', 'assistant', 'Without its own line.'),
    message('thread_3', 'msg_2', 'assistant', 'Twice.')
  )
  const counts = { configs: 0, sessions: 3, messages: 6 }
  t.strictSame((await send(text)).body, { imported: counts, skipped: none })
  t.strictSame((await send(text)).body, { imported: none, skipped: counts })
  const { session, said } = await saidIn('thread_1')
  t.match(session, { metadata: { customer: '17' }, messageCount: 4, startedAt: new Date(at * 1000).toISOString() })
  t.match(said, [
    { role: 'user', content: 'Hi.' }, { role: 'bot', content: 'Hello.', replyTo: said[0]!.id, metadata: { rating: 'good' } },
    { role: 'user', content: '[image_file]\nWhen?', timestamp: new Date((at + 5) * 1000).toISOString() }, { role: 'bot', content: 'On Monday.', status: 'stopped' }
  ])
  t.equal((await client.ask(`/api/sessions/${session.id}/messages/${said[3]!.id}/regenerate`, { method: 'POST' })).status, 200)
  t.equal((await saidIn('thread_2')).said.length, 0)
  const third = await saidIn('thread_3')
  t.strictSame(third.said.map(({ content }) => content), ['Without its own line.', 'Twice.'])
  t.equal((await client.ask(`/api/sessions/${third.session.id}/messages/${third.said[1]!.id}/regenerate`, { method: 'POST' })).status, 409, 'it answers nothing')
  t.equal((await client.ask(`/api/sessions/${session.id}/messages`, { body: { message: 'When do orders ship?' } })).status, 200, 'they go on')
  t.strictSame((await send(text)).body, { imported: none, skipped: counts }, 'and are left as they are')

  const there = await startApp(t)
  const exportedFile = await exported(client)
  t.strictSame((await imports(there.client, exportedFile)).status, 200)
  t.equal(content(await exported(there.client)), content(exportedFile), 'and an export of them is as good as any')
})

t.test('what does not fit is told with its line, and the thread that it is in does not come in half', async (t) => {
  const first = message('thread_9', 'msg_1', 'user', 'First.')
  const cases: Array<[string, object[], number, string]> = [
    ['an unknown object', [first, { object: 'thread.run' }], 2, '/2/object'],
    ['one of ours', [first, { type: 'end' }], 2, '/2/object'],
    ['no object', [first, [7]], 2, '/2/object'],
    ['a role', [first, message('thread_9', 'msg_2', 'system', 'x')], 2, '/2/role'],
    ['half a character', [first, message('thread_9', 'msg_2', 'user', '\ud800')], 2, '/2/content/0/text/value'],
    ['a time', [thread('thread_9', { created_at: -1 })], 1, '/1/created_at'],
    ['too much metadata', [thread('thread_9', { metadata: { x: 'x'.repeat(5000) } })], 1, '/1/metadata'],
    ['a second beginning', [thread('thread_9'), first, thread('thread_9')], 3, '/3/id']
  ]
  for (const [label, records, line, path] of cases) {
    const { status, body } = await send(file(...records))
    t.match({ status, path: body.errors[0]?.path }, { status: 400, path }, `${label} in line ${line}`)
  }
  t.equal((await sessions()).find(({ metadata }) => metadata['openaiThreadId'] === 'thread_9'), undefined)
  t.match(await send(file(thread('thread_9'), first, thread('thread_10'), message('thread_9', 'msg_2', 'user', 'x'))), { status: 400, body: { errors: [{ path: '/4/thread_id' }] } }, 'one that had ended')
  t.match(await send(file(thread('thread_9'), first, first)), { status: 409 })
  t.match(await send(file(first), ''), { status: 400, body: { errors: [{ path: '/configId' }] } })
  const fresh = message('thread_11', 'msg_1', 'user', 'First.')
  t.match(await send(file(fresh), `?configId=${nobody}`), { status: 400 })
  const theirs = await clientFor('another', 'admin')
  t.match(await send(file(fresh), undefined, theirs), { status: 400 }, 'a configuration of somebody else')
  t.equal((await send(file(message('thread_1', 'msg_1', 'user', 'Hi.')), `?configId=${await theirs.createConfig()}`, theirs)).status, 200, 'the same thread elsewhere')
})
