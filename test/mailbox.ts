import { once } from 'node:events'
import { type AddressInfo } from 'node:net'
import { EventEmitter } from 'node:events'
import { SMTPServer, type SMTPServerOptions } from 'smtp-server'
import { type Test } from 'tap'

export interface ReceivedMail { readonly to: string, readonly from: string, readonly source: string, readonly text: string, readonly secure: boolean }

/** What is in the text of a mail, as it was before it was encoded for the wire. */
function textOf (source: string): string {
  const [head, ...body] = source.split('\r\n\r\n')
  const text = body.join('\r\n\r\n').replaceAll('\r\n', '\n')
  if (!/quoted-printable/i.test(head!)) return text
  return text.replaceAll('=\n', '').replaceAll(/=([0-9A-F]{2})/g, (_, hex: string) => String.fromCharCode(parseInt(hex, 16)))
}

/** A real SMTP server on the loopback address, and what it was given. */
export class Mailbox {
  readonly mails: ReceivedMail[] = []
  readonly url: string
  readonly #arrivals: EventEmitter

  constructor (url: string, arrivals: EventEmitter) {
    this.url = url
    this.#arrivals = arrivals
    arrivals.on('mail', (mail: ReceivedMail) => { this.mails.push(mail) })
  }

  /** The next mail to somebody, which is then taken out. */
  async take (to: string): Promise<ReceivedMail> {
    for (;;) {
      const index = this.mails.findIndex((mail) => mail.to === to)
      if (index !== -1) return this.mails.splice(index, 1)[0]!
      await once(this.#arrivals, 'mail')
    }
  }

  /** The token in the next mail to somebody. */
  async token (to: string): Promise<string> {
    return /#token=([\w-]{43})$/m.exec((await this.take(to)).text)![1]!
  }
}

export async function openMailbox (test: Test, options: SMTPServerOptions = {}): Promise<Mailbox> {
  const arrivals = new EventEmitter()
  const server = new SMTPServer({
    authOptional: true,
    // Its own certificate is one that everybody knows; a test that wants TLS says so.
    logger: false,
    onData (stream, { envelope, secure }, done) {
      const chunks: Buffer[] = []
      stream.on('data', (chunk: Buffer) => chunks.push(chunk))
      stream.on('end', () => {
        const source = Buffer.concat(chunks).toString('utf8')
        const from = envelope.mailFrom ? envelope.mailFrom.address : ''
        done()
        arrivals.emit('mail', { to: envelope.rcptTo[0]!.address, from, source, text: textOf(source), secure })
      })
    },
    ...options
  })
  server.on('error', () => {})
  await new Promise<void>((resolve) => { server.listen(0, '127.0.0.1', resolve) })
  test.teardown(async () => await new Promise<void>((resolve) => { server.close(resolve) }))
  return new Mailbox(`smtp://127.0.0.1:${(server.server.address() as AddressInfo).port}`, arrivals)
}
