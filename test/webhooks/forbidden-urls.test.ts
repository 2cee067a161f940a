import { setTimeout as delay } from 'node:timers/promises'
import t from 'tap'
import { type EndpointDelivery, type IssuedWebhookEndpoint } from '../../schemas/webhook-endpoint.ts'
import { isProblem } from '../edge.ts'
import { startApp } from '../helper.ts'
import { startNameServer } from '../outgoing/name-server.ts'
import { specialHosts, wrongUrls } from '../outgoing/special-hosts.ts'
import { startReceiver } from './receiver.ts'

const [metadata, here] = ['169.254.169.254', '127.0.0.1']
const outside = '93.184.216.34'
/** What names stand for, one after the other whenever they are asked for; the last for good. */
const names = new Map([
  ['metadata.google.internal', [metadata]], ['inside.test', ['10.0.0.1']], ['both.test', [outside, here]], ['rebinds.test', [outside, here]]
])
const { address } = await startNameServer(t, (name) => {
  const addresses = names.get(name) ?? []
  if (name === 'both.test') return addresses
  return addresses.length > 1 ? [addresses.shift()!] : addresses
})
const { client } = await startApp(t, {}, { nameServers: [address], webhookScheduleMs: [0], logger: false })
const receiver = await startReceiver(t)
const all = '/api/webhook-endpoints'
const patch = { method: 'PATCH', headers: { 'content-type': 'application/merge-patch+json' } }

t.test('no endpoint is made at or moved to a place that is not to be asked', async (t) => {
  const { body: { id } } = await client.ask<IssuedWebhookEndpoint>(all, { body: { url: `https://${outside}/` } })
  const urls = [
    ...wrongUrls, ...specialHosts.map((host) => `https://${host}:8443/x`),
    ...['metadata.google.internal', 'inside.test', 'both.test', 'inside.test.'].map((name) => `https://${name}/`)
  ]
  for (const url of urls) {
    for (const answer of [await client.ask(all, { body: { url } }), await client.ask(`${all}/${id}`, { ...patch, body: { url } })]) {
      isProblem(t, answer, 'validation_failed', url)
      t.match(answer.body, { errors: [{ path: '/url' }] }, url)
    }
  }
  t.match(await client.ask(all), { body: { data: [{ id, url: `https://${outside}/` }], nextCursor: null } }, 'nothing has come of it')
})

t.test('a name that stands for a place inside by the time of a delivery is not asked', async (t) => {
  const url = receiver.url.replace(here, 'rebinds.test')
  const { status, body: { id } } = await client.ask<IssuedWebhookEndpoint>(all, { body: { url: `${url}/hook` } })
  t.equal(status, 201, 'it was outside then')
  let { body: delivery } = await client.ask<EndpointDelivery>(`${all}/${id}/test`, { method: 'POST' })
  while (delivery.status === 'pending') {
    await delay(5)
    delivery = (await client.ask<EndpointDelivery>(`${all}/${id}/deliveries/${delivery.id}`)).body
  }
  t.match(delivery, { status: 'failed', attempts: [{ status: null, error: /^refused: /, answer: null }] })
  t.equal(receiver.unseen('/hook'), 0)
})
