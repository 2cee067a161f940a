import { type Mail } from '../mail/mailer.ts'
import { type Outbox } from '../mail/outbox.ts'
import { type Invitation } from '../store/invitations.ts'
import { type OneTimeTokenRepository, type TokenPurpose } from '../store/one-time-tokens.ts'
import { type User } from '../store/users.ts'
import { hashSecret, newSecret } from './secrets.ts'

const HOUR_MS = 3600_000
const lifetimes: Record<TokenPurpose, number> = { 'verify-email': 24 * HOUR_MS, 'reset-password': HOUR_MS }

interface LettersOptions {
  readonly outbox: Outbox
  readonly tokens: OneTimeTokenRepository
  /** What the links begin with. */
  readonly publicUrl: string
}

/** The mails about accounts. Each is written and sent behind the answer, and so takes no time that somebody could measure. */
export class Letters {
  readonly #outbox: Outbox
  readonly #tokens: OneTimeTokenRepository
  readonly #publicUrl: string

  constructor ({ outbox, tokens, publicUrl }: LettersOptions) {
    this.#outbox = outbox
    this.#tokens = tokens
    this.#publicUrl = publicUrl.replace(/\/$/, '')
  }

  /** Asks whoever reads mail to `email` whether it is the address of this account. */
  verification ({ id }: User, email: string): void {
    this.#outbox.post(async () => ({
      to: email,
      subject: 'Confirm your e-mail address',
      text: this.#text('Somebody, and we hope you, gave this e-mail address for an account. To confirm it, open:', 'verify-email',
        await this.#newToken('verify-email', id, email), 'The link is good for 24 hours. If it was not you, there is nothing to do.')
    }))
  }

  /** Lets whoever reads mail to the address set another password, if `find` finds an account for it. */
  passwordReset (find: () => Promise<User | undefined>): void {
    this.#outbox.post(async () => {
      const user = await find()
      return user && {
        to: user.email,
        subject: 'Set a new password',
        text: this.#text('Somebody, and we hope you, asked to set a new password for your account. To do so, open:', 'reset-password',
          await this.#newToken('reset-password', user.id, user.email),
          'The link is good for an hour. If it was not you, there is nothing to do: your password stays as it is.')
      }
    })
  }

  /** Tells the owner of an account that its address is to become another one. */
  emailChange ({ email }: User): void {
    this.#post({
      to: email,
      subject: 'Your e-mail address is about to change',
      text: 'Another e-mail address was given for your account, and becomes its address once it is confirmed.\n\n' +
        'If it was not you, set a new password now.\n'
    })
  }

  invitation ({ email, role }: Invitation, token: string, tenantName: string): void {
    this.#post({
      to: email,
      subject: `You are invited to ${tenantName}`,
      text: this.#text(`You are invited to join ${tenantName} as ${role}. To accept, open:`, 'accept-invitation', token,
        'The link is good for 7 days.')
    })
  }

  #post (mail: Mail): void {
    this.#outbox.post(async () => mail)
  }

  async #newToken (purpose: TokenPurpose, userId: string, email: string): Promise<string> {
    const token = newSecret()
    const expiresAt = new Date(Date.now() + lifetimes[purpose])
    await this.#tokens.replace({ hash: hashSecret(token), purpose, userId, email, expiresAt })
    return token
  }

  /** The token stands behind a `#`, which browsers send to nobody. */
  #text (why: string, path: string, token: string, note: string): string {
    return `${why}\n\n${this.#publicUrl}/${path}#token=${token}\n\nIf you are asked for a code, it is:\n\n${token}\n\n${note}\n`
  }
}
