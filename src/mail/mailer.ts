export interface Mail {
  readonly to: string
  readonly subject: string
  readonly text: string
}

/** What brings mail to people. */
export interface Mailer {
  /** Resolves when the mail is on its way. */
  send (mail: Mail): Promise<void>
  close (): void
}

/** Of a logger, what mail needs. */
export interface MailLog {
  info (fields: object, text: string): void
  warn (fields: object, text: string): void
}
