import t from 'tap'
import { startApp } from '../helper.ts'
import { said, signers, type Signed } from './signers.ts'

const { client } = await startApp(t)
const sender = client.with({})
const configId = await client.createConfig({ purpose: 'Help with orders.', titles: false, summaries: false })

interface Issued { readonly id: string, readonly url: string, readonly secret: string }

async function integration (input: Record<string, unknown> = {}): Promise<Issued> {
  const { status, body } = await client.ask<Issued>('/api/integrations', { body: { name: 'Help desk', configId, ...input } })
  if (status !== 201) throw new Error(JSON.stringify(body))
  return body
}

const post = async ({ url }: { url: string }, { headers, body }: Signed, wait = true) =>
  await sender.ask(`${url}${wait ? '?wait=true' : ''}`, { method: 'POST', headers, body })

t.test('a message is answered, once, however it is signed', async (t) => {
  for (const [scheme, sign] of Object.entries(signers)) {
    const secret = scheme === 'standard' ? 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLBARz8l1KJ3gxt4=' : `a secret of ${scheme}`.replaceAll(' ', '-')
    const made = await integration({ scheme, secret })
    t.equal(made.secret, secret)
    const signed = sign(secret, said(`When does it arrive, ${scheme}?`))
    const first = await post(made, signed)
    t.match(first, { status: 200, body: { status: 'completed', reply: String, sessionId: String } }, scheme)
    t.equal(first.headers.get('idempotency-replayed'), null)
    const again = await post(made, signed)
    t.strictSame(again.body, first.body, 'a repeat is answered the same')
    t.equal(again.headers.get('idempotency-replayed'), 'true')
    const { body: session } = await client.ask(`/api/sessions/${String(first.body['sessionId'])}`)
    t.match(session, { messageCount: 2, channel: 'helpdesk', userId: 'helpdesk:customer-17', external: { integrationId: made.id, userId: 'customer-17' } })
  }
})
