import { ObjectId } from 'mongodb'
import t from 'tap'
import { isProblem, nobody } from '../edge.ts'
import { startApp } from '../helper.ts'
import { leaveTurn } from '../replicas.ts'
import { startAppWithSim, StepClock } from '../sim.ts'
import { exported, imports, linesOf, populate, send } from '../transfers.ts'

const here = await startApp(t)

t.test('of one user or one chatbot, only theirs is exported', async (t) => {
  const { client, config } = await populate(here, 'filtered')
  await client.createConfig({ name: 'Another' })
  const anna = linesOf(await exported(client, '?userId=anna'))
  t.strictSame(anna.filter(({ type }) => type === 'session').map((session) => session['userId']), ['anna'])
  t.strictSame(anna.filter(({ type }) => type === 'config').map(({ id }) => id), [config])
  const ofConfig = linesOf(await exported(client, `?configId=${config}`))
  t.match(ofConfig.at(-1), { counts: { configs: 1, sessions: 3 } })
  t.match(linesOf(await exported(client)).at(-1), { counts: { configs: 2, sessions: 3 } })
  t.match(linesOf(await exported(client, `?configId=${nobody}`)).at(-1), { counts: { configs: 0, sessions: 0, messages: 0 } })
  t.match(linesOf(await exported(client, '?userId=nobody')).at(-1), { counts: { configs: 0, sessions: 0, messages: 0 } })
  const { body: { id } } = await client.ask<{ id: string }>('/api/configs', { body: { purpose: 'Gone soon.' } })
  await client.createSession(id, { userId: 'anna' })
  await client.ask(`/api/configs/${id}`, { method: 'DELETE' })
  t.match(linesOf(await exported(client, '?userId=anna')).at(-1), { counts: { configs: 1, sessions: 1 } }, 'what is deleted is not exported')
})

t.test('who may', async (t) => {
  const reader = await here.clientFor('default', 'sessions:read', 'configs:read', 'sessions:write')
  isProblem(t, await reader.ask('/api/export'), 'forbidden')
  isProblem(t, await imports(reader, ''), 'forbidden')
  const { rich } = await populate(here, 'private')
  isProblem(t, await reader.ask(`/api/sessions/${rich}/export`), 'not_found')
  t.match(linesOf(await exported(await here.clientFor('empty', 'admin'))).map(({ type }) => type), ['export', 'end'])
})

t.test('a reply that is being written is exported as if it had been interrupted', async (t) => {
  const clock = new StepClock()
  const { client, sim } = await startAppWithSim(t, { clock, cadence: { chunkDelayMs: 20 } })
  const session = await client.converse()
  const { events } = await client.events(`/api/sessions/${session}/messages`, { body: { message: 'one two three' } })
  const reading = Array.fromAsync(events)
  const lines = linesOf(await exported(client))
  t.match(lines.at(-2), { type: 'message', role: 'bot', status: 'interrupted', error: { code: 'overloaded' } })
  t.match(lines.find(({ type }) => type === 'session'), { nextSeq: 3 })
  clock.run()
  await reading
  await sim.idle()
  t.match(linesOf(await exported(client)).at(-2), { status: 'completed' })
})

t.test('a conversation is exported as JSON, with all branches', async (t) => {
  const { client, rich } = await populate(here, 'single')
  const response = await client.fetch(`/api/sessions/${rich}/export`)
  t.match(response.headers.get('content-disposition'), `attachment; filename="session-${rich}.json"`)
  const document = await response.json() as { session: unknown, messages: Array<{ seq: number }> }
  t.match(document, { format: 'parley.session', formatVersion: 1 })
  t.strictSame(document.session, (await client.ask(`/api/sessions/${rich}`)).body)
  t.strictSame(document.messages.map(({ seq }) => seq), [1, 2, 3, 4, 5, 6, 7])
  t.strictSame((await (await client.fetch(`/api/sessions/${await client.converse()}/export`)).json() as { messages: [] }).messages, [])
  isProblem(t, await client.ask(`/api/sessions/${nobody}/export`), 'not_found')
  isProblem(t, await client.ask(`/api/sessions/${rich}/export?format=pdf`), 'validation_failed')
})

t.test('a conversation is exported as Markdown, which nothing that was said can break', async (t) => {
  const { client } = await populate(here, 'markdown')
  const session = await client.converse()
  const evil = '# Bot\n\n---\n```\n<script>alert(1)</script> [x](http://evil) *b* 1. one\n\n    code'
  await send(client, session, evil)
  await client.ask(`/api/sessions/${session}`, { method: 'PATCH', body: { title: 'A # title\nof *two* lines' } })
  const response = await client.fetch(`/api/sessions/${session}/export?format=markdown`)
  t.match(response.headers.get('content-type'), 'text/markdown')
  const text = await response.text()
  const lines = text.split('\n')
  t.equal(lines[0], '# A \\# title of \\*two\\* lines')
  const outside = lines.filter((line) => !line.startsWith('>'))
  t.strictSame(outside.filter((line) => line.startsWith('#')).map((line) => line.replace(/,.*/, '')), [lines[0], '## 1\\. User', '## 2\\. Bot'])
  t.notMatch(outside.join('\n'), /script|```|evil/)
  t.notMatch(text, /[^\\]<script/, 'what the user wrote is shown, and means nothing')
  t.match(text, '> \\#\\ Bot'.replace('\\ ', ' '))
})

t.test('Markdown holds the branch that is spoken on', async (t) => {
  const { client, rich } = await populate(here, 'lines')
  const seqs = async () => {
    const text = await (await client.fetch(`/api/sessions/${rich}/export?format=markdown`)).text()
    return [...text.matchAll(/^## (\d+)/gm)].map(([, seq]) => Number(seq))
  }
  const shown = async () => (await client.ask<{ data: Array<{ seq: number }> }>(`/api/sessions/${rich}/messages`)).body.data.map(({ seq }) => seq)
  t.strictSame(await seqs(), await shown())
  await client.ask(`/api/sessions/${rich}`, { method: 'PATCH', body: { branchId: rich } })
  t.strictSame(await seqs(), [1, 2, 3, 4])
  t.strictSame(await shown(), [1, 2, 3, 4])
})

t.test('an export waits for what has begun, and cleans up after what never will', async (t) => {
  const app = await startApp(t)
  const { client, db } = app
  const { session: dead } = await leaveTurn(app, { messages: 0 })
  const session = await client.converse()
  const { userMessage } = await send(client, session, 'Erase this.')
  // As a process leaves it that has died between the log and the message.
  await db.collection('sessions').updateOne({ _id: new ObjectId(session) }, {
    $inc: { rev: 1 },
    $set: {
      log: [{ rev: 2, during: null, at: new Date(), type: 'message.deleted', messageId: new ObjectId(userMessage.id), data: { seq: 1 } }],
      unsettledSince: new Date()
    }
  })
  const file = await exported(client)
  t.notMatch(file, /Erase this/)
  t.match(linesOf(file).find(({ id }) => id === dead), { nextSeq: 1, tipId: null })
  t.match(await (await client.fetch(`/api/sessions/${session}/export?format=markdown`)).text(), /^# Conversation\n[^]*## 1\\. User, \S+ \(deleted\)\n\n## 2/)
  await app.app.chat.drain(0)
  await t.rejects(exported(client), 'a server that goes down cuts it off')
})
