import fp from 'fastify-plugin'
import { type Config } from '../src/config.ts'
import { LogMailer } from '../src/mail/log-mailer.ts'
import { Outbox } from '../src/mail/outbox.ts'
import { SmtpMailer } from '../src/mail/smtp-mailer.ts'

declare module 'fastify' {
  interface FastifyInstance {
    outbox: Outbox
  }
}

/** Mail to people: by SMTP, or, where there is none, by the log. */
export default fp<{ config: Config }>(async (fastify, { config }) => {
  const { SMTP_URL, MAIL_FROM, NODE_ENV, ALLOW_PLAINTEXT } = config
  const mayBePlaintext = ALLOW_PLAINTEXT?.split(',').some((name) => name.trim() === 'smtp') ?? false
  const mailer = SMTP_URL === undefined
    ? new LogMailer(fastify.log, { showsText: NODE_ENV !== 'production' })
    : new SmtpMailer(SMTP_URL, { from: MAIL_FROM, mayBePlaintext })
  const outbox = new Outbox(mailer, fastify.log)
  fastify.decorate('outbox', outbox)
  fastify.addHook('onClose', async () => await outbox.close())
}, { name: 'mail', dependencies: ['mongo'] })
