import t from 'tap'
import { isProblem, nobody } from '../edge.ts'
import { startApp } from '../helper.ts'
import { startAppWithSim } from '../sim.ts'

interface Row extends Record<string, unknown> {
  messages: number
  promptTokens: number
  completionTokens: number
  totalTokens: number
  costUsd: number
}

interface View { from: string, to: string, groupBy: string[], data: Row[], nextCursor: string | null }

t.test('usage is summed up by whatever it is asked to be told apart by', async (t) => {
  const app = await startAppWithSim(t)
  const { client, clientFor } = app
  const [a, b] = [await client.createConfig(), await client.createConfig()]
  const [anna, berta, anybody] = [
    await client.createSession(a, { userId: 'anna' }), await client.createSession(a, { userId: 'berta' }), await client.createSession(b)
  ]
  const other = await clientFor('default', 'sessions:write')
  for (const [who, session] of [[client, anna], [client, anna], [other, berta], [client, anybody]] as const) {
    await who.ask(`/api/sessions/${session}/messages`, { body: { message: 'Hello' } })
  }
  await app.app.usageLedger.flush()
  const usage = async (query: string, who = client) => (await who.ask<View>(`/api/usage?${query}`)).body
  const all = await usage('')
  t.match(all, { groupBy: [], data: [{ messages: 4 }], nextCursor: null })
  const [sum] = all.data
  t.equal(sum!.totalTokens, sum!.promptTokens + sum!.completionTokens)
  t.ok(sum!.costUsd > 0)
  const today = new Date().toISOString().slice(0, 10)
  t.match(await usage('groupBy=model,day'), { groupBy: ['day', 'model'], data: [{ day: today, model: 'mistral-small-latest', messages: 4 }] })
  const byUser = (await usage('groupBy=user')).data
  t.same(byUser.map(({ userId, messages }) => [userId, messages]).sort(), [['anna', 2], ['berta', 1], [null, 1]].sort())
  const byKey = (await usage('groupBy=key')).data
  t.same(byKey.map(({ messages }) => messages).sort(), [1, 3])
  t.match(await usage(`keyId=${String(byKey.find(({ messages }) => messages === 1)!['keyId'])}`), { data: [{ messages: 1 }] })
  t.match(await usage(`groupBy=config&configId=${a}`), { data: [{ configId: a, messages: 3 }] })
  t.match(await usage('userId=anna&model=mistral-small-latest'), { data: [{ messages: 2 }] })
  for (const query of ['userId=nobody', `configId=${nobody}`, 'to=2020-01-01T00:00:00Z']) t.same((await usage(query)).data, [], query)
  const page = await usage('groupBy=user&limit=2')
  t.equal(page.data.length, 2)
  t.same((await usage(`groupBy=user&limit=2&cursor=${page.nextCursor!}`)).data, [byUser[2]])
  t.same((await usage('', await clientFor('stranger', 'admin'))).data, [])

  await client.ask('/api/end-users/anna', { method: 'DELETE' })
  await app.app.erasures.resume()
  const erased = (await usage('groupBy=user')).data
  t.same(erased.map(({ userId, messages }) => [userId, messages]).sort(), [['berta', 1], [null, 2], [null, 1]].sort(), 'nobody can tell who it was')
  t.notMatch(JSON.stringify(await app.db.collection('usageEvents').find().toArray()), /anna|berta/)
  t.same((await usage('userId=anna')).data, [])
})

t.test('what cannot be asked for is refused', async (t) => {
  const { client } = await startApp(t)
  for (const query of [
    'from=2026-01-01T00:00:00Z&to=2027-01-03T00:00:00Z', 'from=2026-02-01T00:00:00Z&to=2026-01-01T00:00:00Z', 'groupBy=day;user',
    'groupBy=', 'cursor=x', 'from=yesterday', 'limit=1001'
  ]) isProblem(t, await client.ask(`/api/usage?${query}`), 'validation_failed', query)
  t.match(await client.ask('/api/usage?from=2026-01-01T00:00:00Z&to=2026-12-31T00:00:00Z'), { status: 200, body: { data: [] } })
})
