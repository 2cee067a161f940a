import { type SecretContext, SecretError, type Secrets } from './secrets.ts'

/** A secret where it is kept. */
export interface KeptSecret {
  readonly sealed: string
  readonly context: SecretContext
}

/** The secrets of one field of a collection. */
export interface SecretField {
  /** Up to `limit` of them, in the ascending order of their documents, behind `afterId`. */
  page (afterId: string | undefined, limit: number): Promise<KeptSecret[]>
  /** Puts `sealed` in the place of `kept.sealed`, unless something else is there by now. */
  replace (kept: KeptSecret, sealed: string): Promise<void>
}

const PAGE = 100

/**
 * Seals with the newest key what older ones have sealed; when it is done, those can be taken from the ring. It can be
 * stopped anywhere and begun again, and run twice at a time: what is done is passed over. Answers how many it has sealed.
 * Throws `SecretError` for one that no key opens, after all others are sealed.
 */
export async function reencrypt (secrets: Secrets, field: SecretField): Promise<number> {
  let done = 0
  let last: string | undefined
  let unopened: SecretError | undefined
  for (;;) {
    const page = await field.page(last, PAGE)
    for (const kept of page) {
      if (!secrets.needsReencryption(kept.sealed)) continue
      try {
        await field.replace(kept, secrets.seal(secrets.open(kept.sealed, kept.context), kept.context))
        done++
      } catch (error) {
        if (!(error instanceof SecretError)) throw error
        unopened = error
      }
    }
    last = page.at(-1)?.context.documentId
    if (page.length === PAGE) continue
    if (unopened) throw unopened
    return done
  }
}
