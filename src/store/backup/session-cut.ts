import { type ObjectId } from 'mongodb'
import { type MessageDocument } from '../message.ts'
import { hidden, type SessionDocument } from '../sessions.ts'
import { changed, decoded, type RawDocument } from './raw-documents.ts'

/** What a session has become since it was read. */
export type LaterSession = Pick<SessionDocument, 'status' | 'clearedSeq'>

/**
 * A session as it is at the moment when it is read, although its messages and changes are read later. Each of them bears
 * the number of its turn or change, which the session counts, so what came later is left out. What is left is what a
 * process leaves that dies at that moment.
 */
export class SessionCut {
  readonly id: ObjectId
  readonly configId: ObjectId
  readonly tenantId: string
  readonly #raw: RawDocument
  readonly #session: SessionDocument
  readonly key: string
  /** How many messages it has. */
  readonly size: number
  /** The newest change that a message shows. */
  #shownRev = 0

  constructor (raw: RawDocument) {
    this.#raw = raw
    this.#session = decoded<SessionDocument>(raw)
    this.id = this.#session._id
    this.configId = this.#session.configId
    this.tenantId = this.#session.tenantId
    this.key = this.id.toHexString()
    this.size = this.#session.nextSeq - 1 - (this.#session.clearedSeq ?? 0)
  }

  /** A message of the session as it is to be kept. Undefined: it came later. */
  message (raw: RawDocument, message: MessageDocument): RawDocument | undefined {
    const { nextSeq, turn } = this.#session
    if (message.seq >= nextSeq || this.#isLater(message.rev)) return undefined
    this.#shownRev = Math.max(this.#shownRev, message.feedbackRev ?? 0)
    // The turn may have taken the key of a reply that does not count, after that was read.
    const isReleased = turn !== null && message.idempotencyKey !== undefined && message.idempotencyKey === turn.idempotencyKey &&
      message.rev !== turn.rev && (message.status === 'failed' || message.status === 'interrupted')
    return isReleased ? changed(raw, { idempotencyKey: undefined, requestHash: undefined }) : raw
  }

  /** Whether a change is one of those that the session counts. */
  hasChange ({ rev }: { readonly rev: number }): boolean {
    return !this.#isLater(rev)
  }

  /**
   * The session as it is to be kept, by what is known of it when all of its messages were read. Undefined: some of them
   * were cleared meanwhile and may be gone; it has to be read again.
   */
  session (later: LaterSession | undefined): RawDocument | undefined {
    const { status, clearedSeq = 0, rev } = this.#session
    // It is about to be removed, or is already.
    if (later?.status === 'deleted' || !later) {
      return status === 'deleted' ? this.#raw : changed(this.#raw, { ...hidden, turn: null, tickets: [] })
    }
    if ((later.clearedSeq ?? 0) !== clearedSeq) return undefined
    // A change that is made after the restore must have a higher number than one that a message shows.
    return rev !== undefined && this.#shownRev > rev ? changed(this.#raw, { rev: this.#shownRev }) : this.#raw
  }

  #isLater (rev: number | undefined): boolean {
    return this.#session.rev !== undefined && rev !== undefined && rev > this.#session.rev
  }
}
