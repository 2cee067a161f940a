import { type Mail, type Mailer, type MailLog } from './mailer.ts'

/** Where no mail can be sent. While developing, the log has the text with its link; in production, not even that. */
export class LogMailer implements Mailer {
  readonly #log: MailLog
  readonly #showsText: boolean

  constructor (log: MailLog, { showsText }: { showsText: boolean }) {
    this.#log = log
    this.#showsText = showsText
  }

  async send ({ to, subject, text }: Mail): Promise<void> {
    if (this.#showsText) this.#log.info({ mail: { to, subject, text } }, 'no SMTP_URL is set: this mail is only shown here')
    else this.#log.warn({ subject }, 'no SMTP_URL is set: a mail was not sent')
  }

  close (): void {}
}
