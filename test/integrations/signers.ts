import { createHmac, randomUUID } from 'node:crypto'
import { Webhook } from 'standardwebhooks'

/** What a sender posts. */
export interface Signed {
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

export const seconds = () => Math.floor(Date.now() / 1000)

const hex = (secret: string, text: string) => createHmac('sha256', secret).update(text).digest('hex')

/** How each kind of sender signs, by the scheme. */
export const signers: Readonly<Record<string, (secret: string, body: string, at?: number) => Signed>> = {
  standard (secret, body, at = seconds()) {
    const id = `msg_${randomUUID()}`
    const signature = new Webhook(secret).sign(id, new Date(at * 1000), body)
    return { body, headers: { 'webhook-id': id, 'webhook-timestamp': String(at), 'webhook-signature': signature } }
  },
  github: (secret, body) => ({
    body, headers: { 'x-hub-signature-256': `sha256=${hex(secret, body)}`, 'x-github-delivery': randomUUID(), 'x-github-event': 'message' }
  }),
  stripe: (secret, body, at = seconds()) => ({ body, headers: { 'stripe-signature': `t=${at},v1=${hex(secret, `${at}.${body}`)},v0=ignored` } }),
  slack: (secret, body, at = seconds()) => ({
    body, headers: { 'x-slack-request-timestamp': String(at), 'x-slack-signature': `v0=${hex(secret, `v0:${at}:${body}`)}` }
  }),
  hmac: (secret, body) => ({ body, headers: { 'x-signature': hex(secret, body) } })
}

let count = 0

/** A message as a body. */
export const said = (text: string, more: Record<string, unknown> = {}) => JSON.stringify({
  type: 'message', channel: 'helpdesk', externalUserId: 'customer-17', text, externalMessageId: `m-${count++}`, ...more
})
