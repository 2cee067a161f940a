import { type FeedStarted } from '../../schemas/feed-event.ts'
import { Alarm } from '../chat/alarm.ts'
import { frame, restOf } from '../chat/events.ts'
import { type FollowedMessage } from '../chat/followed-message.ts'
import { type Followers } from '../chat/followers.ts'
import { type Occurrence } from '../problem.ts'
import { type SessionWatch } from '../sessions/session-watch.ts'
import { type Message } from '../store/message.ts'
import { changed, type FeedEvent, sessionDeleted, turnEnded, turnStarted } from './feed-event.ts'
import { type Happening, type Reading, readOn, type Repositories } from './session-happenings.ts'
import { cursorOf, type SessionPosition } from './session-position.ts'

// What is about to be written by another process is looked for this often.
const SOON_MS = 50
// Everything else rings.
const LATER_MS = 60_000

export interface SessionFeedDependencies extends Repositories {
  readonly watch: SessionWatch
  readonly followers: Followers
}

/** Where a feed begins. `fresh`: its reader does not know that place yet. */
export interface SessionFeedStart {
  readonly sessionId: string
  readonly position: SessionPosition
  readonly fresh: boolean
  readonly occurrence: Occurrence
}

/** The reply that a reader is being told; no other begins before it has ended. */
interface OpenReply {
  readonly seq: number
  readonly rev: number
  readonly followed: FollowedMessage
  readonly unfollow: () => void
}

/**
 * All that happens in a session, told to one reader. The number that a turn or a change got from the session says where it
 * comes. The end of a reply has none: it comes after the changes that were made while its turn was held, and before
 * whatever came next. Nothing is read ahead of the reader, so a slow one costs no memory.
 */
export class SessionFeed {
  readonly #deps: SessionFeedDependencies
  readonly #start: SessionFeedStart
  readonly #alarm = new Alarm()
  #position: SessionPosition
  /** Something may have happened since the last reading. */
  #isStale = true
  #reading: Reading | undefined
  #pending: Happening[] = []
  #open: OpenReply | undefined
  #isOver = false

  constructor (deps: SessionFeedDependencies, start: SessionFeedStart) {
    this.#deps = deps
    this.#start = start
    this.#position = start.position
  }

  /** Server-sent events, until the session is deleted or `signal` is aborted. */
  async * frames (signal: AbortSignal): AsyncGenerator<string> {
    const wake = () => this.#alarm.ring()
    const unfollow = this.#deps.watch.follow(this.#start.sessionId, () => {
      this.#isStale = true
      wake()
    })
    signal.addEventListener('abort', wake)
    try {
      if (this.#start.fresh) yield this.#greeting()
      await this.#resume()
      while (!signal.aborted && !this.#isOver) yield * this.#step()
    } finally {
      unfollow()
      signal.removeEventListener('abort', wake)
      this.#close()
    }
  }

  #greeting (): string {
    const cursor = cursorOf(this.#start.sessionId, this.#position)
    const data: FeedStarted = { cursor }
    return frame('feed.started', data, cursor)
  }

  /** Takes up the reply that the reader was being told when it left. */
  async #resume (): Promise<void> {
    const { seq, offset } = this.#position
    if (offset === null) return
    const [message] = await this.#deps.messages.numbered(this.#start.sessionId, [seq])
    this.#follow(message)
  }

  /** Tells what can be told now; where there is nothing, waits until there may be. */
  async * #step (): AsyncGenerator<string> {
    yield * this.#text()
    const [next] = this.#pending
    const open = this.#open
    const isEndDue = open !== undefined && (next ? !isDuring(next, open) : this.#isReleased(open))
    if (isEndDue && open.followed.ended) yield * this.#end(open)
    else if (next && !isEndDue) yield * this.#tell(next)
    else if (!next && this.#isStale) await this.#read()
    else if (!next && this.#reading?.isGone) yield this.#last()
    else await this.#rest()
  }

  /** What the open reply has that the reader does not. */
  * #text (): Generator<string> {
    const { offset } = this.#position
    if (!this.#open || offset === null) return
    const { followed } = this.#open
    if (followed.text.length <= offset) return
    const data = restOf(followed, offset)
    yield this.#advance({ event: 'message.delta', data }, { offset: followed.text.length })
  }

  * #end ({ followed }: OpenReply): Generator<string> {
    // It may have got longer since it was looked at.
    yield * this.#text()
    this.#close()
    yield this.#advance(turnEnded(followed.botMessage, this.#start.occurrence), { offset: null })
  }

  async * #tell (happening: Happening): AsyncGenerator<string> {
    this.#pending.shift()
    const rev = Math.max(this.#position.rev, happening.rev)
    if ('change' in happening) {
      this.#isOver = happening.change.type === 'session.deleted'
      yield this.#advance(changed(this.#start.sessionId, happening.change), { rev })
      return
    }
    const { seq, botMessage } = happening.turn
    const userMessage = happening.turn.userMessage ?? await this.#answered(botMessage!)
    this.#follow(botMessage)
    yield this.#advance(turnStarted({ userMessage, botMessage }), { rev, seq, offset: botMessage ? 0 : null })
  }

  /** What a reply answers that began without it: unless that is gone, it was said in an earlier turn. */
  async #answered ({ sessionId, replyTo }: Message): Promise<Message | undefined> {
    const message = await this.#deps.messages.find(sessionId, replyTo!)
    return message && message.seq > this.#reading!.clearedSeq ? message : undefined
  }

  /** The end of a session that was deleted with its chatbot or its user, or is purged already. */
  #last (): string {
    this.#isOver = true
    return this.#advance(sessionDeleted(this.#start.sessionId, new Date()), {})
  }

  async #read (): Promise<void> {
    this.#isStale = false
    this.#reading = await readOn(this.#deps, this.#start.sessionId, this.#position)
    this.#pending = [...this.#reading.happenings]
    this.#isStale ||= this.#reading.hasMore
  }

  async #rest (): Promise<void> {
    const open = this.#open
    if (open?.followed.failure === undefined) {
      await this.#alarm.rest(this.#reading?.isAwaiting ? SOON_MS : LATER_MS)
      this.#isStale ||= this.#reading?.isAwaiting ?? false
      return
    }
    // Its process is in trouble, or it is purged. In the store it ends sooner or later.
    await this.#alarm.rest(SOON_MS)
    const message = await this.#deps.messages.find(this.#start.sessionId, open.followed.botMessage.id)
    this.#close()
    this.#follow(message)
  }

  #follow (botMessage: Message | undefined): void {
    if (!botMessage) return
    const { seq, rev } = botMessage
    const followed = this.#deps.followers.of(botMessage)
    this.#open = { seq, rev, followed, unfollow: followed.subscribe(() => this.#alarm.ring()) }
  }

  #close (): void {
    this.#open?.unfollow()
    this.#open = undefined
  }

  /** The turn of the open reply is over, and all that was changed meanwhile was told. */
  #isReleased ({ rev }: OpenReply): boolean {
    return !this.#isStale && this.#reading?.heldRev !== rev
  }

  /** The event with the place that its reader is at with it. */
  #advance ({ event, data }: FeedEvent, to: Partial<SessionPosition>): string {
    this.#position = { ...this.#position, ...to }
    return frame(event, data, cursorOf(this.#start.sessionId, this.#position))
  }
}

/** Made while the turn of this reply was held; then its end comes later. */
function isDuring (happening: Happening, { seq, rev }: OpenReply): boolean {
  return 'change' in happening && happening.rev > rev && happening.change.during === seq
}
