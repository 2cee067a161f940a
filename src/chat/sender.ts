import { setTimeout as delay } from 'node:timers/promises'
import { ApiError } from '../errors.ts'
import { newId } from '../store/ids.ts'
import { type MessageRepository } from '../store/messages.ts'
import { type Session, type SessionScope } from '../store/sessions.ts'
import { type Alarm } from './alarm.ts'
import { goingDown } from './followed-message.ts'
import { type Followers } from './followers.ts'
import { findEarlierSend, replyThatCounts, type SendKey } from './idempotency.ts'
import { type Stopper } from './stopper.ts'
import { type Sent, type TurnStarter } from './turn-starter.ts'
import { type TurnTaking } from './turn-taking.ts'
import { type NewWork, requestHash, type TurnWork, type Wish } from './turn-work.ts'
import { type WaitingLine } from './waiting-line.ts'

// A twin that has just taken the turn writes its message at once.
const TWIN_MS = 50
// Who is next looks this often whether it was not told; the others only so that their tickets do not lapse.
const NEXT_MS = 500
const LOOKS_PER_LEASE = 3

export interface SendOptions {
  readonly idempotencyKey?: string
  readonly onBusy: 'reject' | 'queue' | 'interrupt'
  /** Whether the text is wanted as it is written. */
  readonly stream: boolean
  /** The API key that it was asked with. */
  readonly keyId: string | null
  readonly wish?: Wish
}

interface Dependencies {
  readonly messages: MessageRepository
  readonly turns: TurnTaking
  readonly line: WaitingLine
  readonly starter: TurnStarter
  readonly stopper: Stopper
  readonly followers: Followers
  readonly leaseMs: number
}

interface Send {
  readonly scope: SessionScope
  readonly sessionId: string
  readonly work: TurnWork
  readonly options: SendOptions
  readonly key: SendKey | undefined
}

/** A send on its way to its turn. */
interface Wait {
  readonly ticket: { readonly id: string, readonly place: 'front' | 'back' }
  readonly alarm: Alarm
  /** The ticket may be in the session. */
  isInLine: boolean
  /** It has stopped the reply that it met; those that come later are none of its business. */
  hasInterrupted: boolean
}

/** Turns a message into a running turn. */
export class Sender {
  readonly #deps: Dependencies
  #closed = false

  get isClosed (): boolean {
    return this.#closed
  }

  constructor (deps: Dependencies) {
    this.#deps = deps
  }

  /** From now on every send is refused, those that wait included. */
  close (): void {
    this.#closed = true
    this.#deps.line.wakeAll()
  }

  async send (
    scope: SessionScope, sessionId: string, work: NewWork, options: SendOptions
  ): Promise<Sent> {
    const { idempotencyKey, onBusy } = options
    const key = idempotencyKey === undefined ? undefined : { idempotencyKey, requestHash: requestHash(work) }
    const send: Send = { scope, sessionId, work, options, key }
    if (onBusy === 'reject') return await this.#begin(send)
    const { turns, line } = this.#deps
    const id = newId()
    const place = onBusy === 'queue' ? 'back' : 'front'
    const wait: Wait = { ticket: { id, place }, alarm: line.join(id, sessionId), isInLine: false, hasInterrupted: false }
    try {
      return await this.#begin(send, wait)
    } finally {
      line.leave(id)
      // A ticket that cannot be given back lapses.
      if (wait.isInLine) await turns.leave(sessionId, id).catch(() => {})
    }
  }

  /** Tries until the turn is taken, an earlier send with the same key is found, or the policy says no. */
  async #begin (send: Send, wait?: Wait): Promise<Sent> {
    const { scope, sessionId, options, key } = send
    const { turns, starter } = this.#deps
    let { work } = send
    for (;;) {
      if (this.#closed) throw goingDown()
      if (wait) wait.isInLine = true
      const attempt = await turns.take(scope, {
        sessionId,
        messageId: newId(),
        idempotencyKey: key?.idempotencyKey ?? null,
        numbers: 'input' in work ? 2 : 1,
        ...('branch' in work && work.branch && { branch: work.branch }),
        ...(wait && { ticket: wait.ticket })
      })
      if ('taken' in attempt) {
        if (wait) wait.isInLine = false
        const outcome = await starter.start(attempt.taken, work, key, options)
        if ('reply' in outcome) return outcome
        work = outcome.again
      } else {
        const earlier = await this.#replay(send, attempt.busy)
        if (earlier) return earlier
        await this.#untilFree(send, attempt.busy, wait)
      }
    }
  }

  async #replay ({ key }: Send, session: Session): Promise<Sent | undefined> {
    const earlier = key && await findEarlierSend(this.#deps.messages, session, key)
    const reply = earlier && replyThatCounts(earlier)
    return reply && { userMessage: earlier.userMessage, reply: this.#deps.followers.of(reply), replayed: true }
  }

  /** Waits until it pays to try again. Throws where the policy, the session or the length of the line says no. */
  async #untilFree ({ sessionId, key, options }: Send, { turn, status, tickets }: Session, wait: Wait | undefined): Promise<void> {
    // Its message is about to be written, or its lease will lapse.
    if (key && turn?.idempotencyKey === key.idempotencyKey) {
      await delay(TWIN_MS)
      return
    }
    if (status === 'ended') throw new ApiError('session_ended', { detail: 'The session has ended; it takes no more messages.' })
    if (!wait) {
      throw new ApiError('session_busy', { detail: 'The session is answering another message.', headers: { 'retry-after': '1' } })
    }
    const before = tickets.indexOf(wait.ticket.id)
    if (before === -1) {
      throw new ApiError('overloaded', { detail: 'Too many messages wait for this session.', headers: { 'retry-after': '5' } })
    }
    if (turn && options.onBusy === 'interrupt' && !wait.hasInterrupted) {
      wait.hasInterrupted = true
      await this.#deps.stopper.stop(sessionId, turn.messageId)
      return
    }
    // The turn is free and nobody comes before us: we went to the front only now.
    if (!turn && before === 0) return
    const renewMs = this.#deps.leaseMs / LOOKS_PER_LEASE
    await wait.alarm.rest(before === 0 ? Math.min(NEXT_MS, renewMs) : renewMs)
  }
}
