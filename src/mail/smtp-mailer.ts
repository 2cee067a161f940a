import { createTransport, type Transporter } from 'nodemailer'
import { isLoopback } from '../loopback.ts'
import { type Mail, type Mailer } from './mailer.ts'

const TIMEOUT_MS = 10_000
const MAX_CONNECTIONS = 2

/** Mail by SMTP. Off this machine it goes encrypted, unless it may be plaintext, or not at all. */
export class SmtpMailer implements Mailer {
  readonly #transport: Transporter
  readonly #from: string

  /** `smtp://` begins in plain text and asks for TLS; `smtps://` begins with TLS. */
  constructor (url: string, { from, mayBePlaintext }: { from: string, mayBePlaintext: boolean }) {
    const { protocol, hostname, port, username, password } = new URL(url)
    const isSecure = protocol === 'smtps:'
    this.#from = from
    this.#transport = createTransport({
      pool: true,
      maxConnections: MAX_CONNECTIONS,
      host: hostname.replace(/^\[(.*)\]$/, '$1'),
      port: port === '' ? (isSecure ? 465 : 587) : Number(port),
      secure: isSecure,
      requireTLS: !isLoopback(hostname) && !mayBePlaintext,
      // A server of this machine seldom has a certificate for its name.
      ignoreTLS: !isSecure && isLoopback(hostname),
      ...(username !== '' && { auth: { user: decodeURIComponent(username), pass: decodeURIComponent(password) } }),
      connectionTimeout: TIMEOUT_MS,
      greetingTimeout: TIMEOUT_MS,
      socketTimeout: TIMEOUT_MS,
      disableFileAccess: true,
      disableUrlAccess: true
    })
  }

  async send ({ to, subject, text }: Mail): Promise<void> {
    // As an object, so that nothing in it is taken for a list of addresses.
    await this.#transport.sendMail({ from: this.#from, to: { name: '', address: to }, subject, text })
  }

  close (): void {
    this.#transport.close()
  }
}
