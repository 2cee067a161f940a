import t from 'tap'
import { JWT_SECRET } from '../edge.ts'
import { startAppWithSim } from '../sim.ts'
import { Description } from './document.ts'
import { each } from './each.ts'
import { furnish, signedUp } from './place.ts'
import { assembled, validParts } from './requests.ts'
import { Wire } from './wire.ts'

t.test('each operation that waits for a model says when that took too long', async (t) => {
  const { app, client, adminKey, sim } = await startAppWithSim(t, {}, { JWT_SECRET, MISTRAL_TIMEOUT_MS: '300', OUTGOING_ALLOWED_NETWORKS: '127.0.0.0/8' })
  const description = new Description(app)
  const place = await furnish(client, await signedUp(client, 'models'), 'models', 'somebody')
  const wire = new Wire(client.url)
  t.teardown(async () => await wire.close())
  const asked = description.operations.filter(({ responses, path }) => '504' in responses && !path.includes('webhook'))
  const wrong = await each(asked, async (operation) => {
    // Something to summarise, and a model that answers before it fails again: one that only fails is not asked any more.
    sim.reset()
    await client.ask(`/api/sessions/${place.session}/messages`, { body: { message: 'And on Tuesdays?' } })
    sim.script([{ times: 'always', fault: { hang: true } }])
    const request = assembled(operation, validParts(description, operation, place))
    const heard = await wire.ask({ ...request, headers: { 'x-api-key': adminKey, ...request.headers } })
    return heard.status === 504 ? [] : [`${operation.id}: ${heard.status} ${heard.text.slice(0, 300)}`]
  }, 1)
  t.strictSame(wrong.flat(), [])
})

t.test('each operation that asks a model says how that went wrong', async (t) => {
  const { app, client, adminKey, sim } = await startAppWithSim(t, {}, { JWT_SECRET, OUTGOING_ALLOWED_NETWORKS: '127.0.0.0/8' })
  const description = new Description(app)
  const account = await signedUp(client, 'models')
  const place = await furnish(client, account, 'models', 'somebody')
  // There is something to summarise again.
  await client.ask(`/api/sessions/${place.session}/messages`, { body: { message: 'And on Tuesdays?' } })
  const wire = new Wire(client.url)
  t.teardown(async () => await wire.close())

  /** What operations that say so do not answer with `status`. */
  async function strangers (status: number): Promise<string[]> {
    // Logins have providers of their own, and what comes by webhook waits for better times.
    const asked = description.operations.filter(({ responses, path }) => status in responses && !/oauth|webhook/.test(path))
    const wrong = await each(asked, async (operation) => {
      const request = assembled(operation, validParts(description, operation, place))
      const heard = await wire.ask({ ...request, headers: { 'x-api-key': adminKey, ...request.headers } })
      return heard.status === status ? [] : [`${operation.id}: ${heard.status} ${heard.text.slice(0, 300)}`]
    }, 1)
    return wrong.flat()
  }

  sim.script([{ times: 'always', fault: { status: { code: 400 } } }])
  t.strictSame(await strangers(502), [], 'a model that refuses')
  const { status } = await client.ask('/api/tenants/default/quota', { method: 'PUT', body: { tenant: { messagesPerDay: 1, tokensPerDay: 1 } } })
  t.equal(status, 200)
  t.strictSame(await strangers(402), [], 'a quota that is used up')
})
