import { Writable } from 'node:stream'
import t from 'tap'
import { Outbox } from '../../src/mail/outbox.ts'
import { SmtpMailer } from '../../src/mail/smtp-mailer.ts'
import { startApp } from '../helper.ts'
import { JWT_SECRET } from '../edge.ts'
import { openMailbox } from '../mailbox.ts'
import { PASSWORD } from './people.ts'

const mail = { to: 'ada@example.org', subject: 'Hello', text: 'Grüße,\nAda\n' }
const from = 'Parley <parley@example.org>'

function logged () {
  const lines: object[] = []
  const log = (fields: object, text: string) => { lines.push({ ...fields, text }) }
  return { lines, log: { info: log, warn: log } }
}

t.test('a mail goes to one address, whatever is in it', async (t) => {
  const mailbox = await openMailbox(t)
  const mailer = new SmtpMailer(mailbox.url, { from, mayBePlaintext: false })
  t.teardown(() => mailer.close())
  await mailer.send({ ...mail, subject: 'Hello\r\nBcc: eve@example.org' })
  const received = await mailbox.take('ada@example.org')
  t.match(received, { from: 'parley@example.org', secure: false })
  t.match(received.source, /^From: Parley <parley@example.org>$/m)
  t.notMatch(received.source, /^Bcc/m)
  t.equal(mailbox.mails.length, 0)
})

t.test('name and password of the server are used', async (t) => {
  const logins: unknown[] = []
  const mailbox = await openMailbox(t, {
    authOptional: false,
    allowInsecureAuth: true,
    onAuth: ({ username, password }, _session, done) => {
      logins.push([username, password])
      done(null, { user: username })
    }
  })
  const mailer = new SmtpMailer(mailbox.url.replace('//', '//me%40x:p%2Fw@'), { from, mayBePlaintext: true })
  t.teardown(() => mailer.close())
  await mailer.send(mail)
  t.same(logins, [['me@x', 'p/w']])
})

t.test('a server with TLS from the beginning is asked for its certificate', async (t) => {
  const mailbox = await openMailbox(t, { secure: true })
  const mailer = new SmtpMailer(mailbox.url.replace('smtp:', 'smtps:'), { from, mayBePlaintext: false })
  t.teardown(() => mailer.close())
  await t.rejects(mailer.send(mail), { message: /certificate/ })
  const unnamed = new SmtpMailer('smtps://localhost', { from, mayBePlaintext: false })
  unnamed.close()
  new SmtpMailer('smtp://mail.example.org', { from, mayBePlaintext: false }).close()
})

t.test('what fails for the moment is tried again, what is refused is not', async (t) => {
  const attempts: string[] = []
  const mailbox = await openMailbox(t, {
    onRcptTo ({ address }, _session, done) {
      attempts.push(address)
      if (address === 'later@example.org' && attempts.length === 1) return done(Object.assign(new Error('later'), { responseCode: 451 }))
      return address === 'never@example.org' ? done(Object.assign(new Error('never'), { responseCode: 550 })) : done()
    }
  })
  const { lines, log } = logged()
  const outbox = new Outbox(new SmtpMailer(mailbox.url, { from, mayBePlaintext: false }), log, [1, 1])
  outbox.post(async () => ({ ...mail, to: 'later@example.org' }))
  await mailbox.take('later@example.org')
  outbox.post(async () => ({ ...mail, to: 'never@example.org' }))
  const written = Promise.withResolvers<void>()
  outbox.post(async () => undefined)
  outbox.post(async () => {
    written.resolve()
    throw new Error('the store is away')
  })
  await written.promise
  await outbox.close()
  t.same(attempts, ['later@example.org', 'later@example.org', 'never@example.org'])
  t.equal(lines.length, 2)
  outbox.post(async () => mail)
  await outbox.close()
  t.match(lines.at(-1), { err: { message: /went down/ } })
})

t.test('mail that cannot be sent waits in a bounded line, and not for the end', async (t) => {
  const { lines, log } = logged()
  const hold = Promise.withResolvers<void>()
  const outbox = new Outbox({ send: async () => await hold.promise, close () {} }, log)
  for (let i = 0; i < 503; i++) outbox.post(async () => mail)
  t.match(lines, [{ text: /dropped/ }])
  const closed = outbox.close()
  hold.reject(new Error('away'))
  await closed
  t.equal(lines.length, 503)
})

t.test('without a server the mail is shown while developing, and in production nothing of it is', async (t) => {
  for (const NODE_ENV of ['development', 'production']) {
    let text = ''
    const told = Promise.withResolvers<void>()
    const stream = new Writable({
      write (chunk: Buffer, _encoding, done) {
        text += chunk.toString()
        if (text.includes('SMTP_URL')) told.resolve()
        done()
      }
    })
    const { client } = await startApp(t, { NODE_ENV, JWT_SECRET, REGISTRATION: 'open' }, { logger: { level: 'info', stream } })
    await client.ask('/api/auth/register', { body: { email: 'ada@example.org', password: PASSWORD, name: 'Ada' } })
    await told.promise
    if (NODE_ENV === 'production') t.notMatch(text, /token|ada@|code, it is/)
    else t.match(text, /verify-email#token=[\w-]{43}/)
    t.notMatch(text, new RegExp(PASSWORD))
  }
})
