import { type MessageInput } from '../../schemas/message.ts'
import { ApiError } from '../errors.ts'
import { type Sessions } from '../sessions/sessions.ts'
import { type BranchStart } from '../store/branches.ts'
import { newId } from '../store/ids.ts'
import { type Message } from '../store/message.ts'
import { type MessageRepository } from '../store/messages.ts'
import { type Session, type SessionScope } from '../store/sessions.ts'
import { type TurnWork } from './turn-work.ts'

const MAX_BRANCHES = 100

const conflict = (detail: string) => new ApiError('conflict', { detail })

/** Where a line begins that goes on behind `parent`; null: at the beginning of the session. */
export function branchBehind (parent: Message | null): BranchStart {
  return { id: newId(), from: parent?.branchId ?? null, parentId: parent?.id ?? null, parentSeq: parent?.seq ?? 0 }
}

/** Throws `conflict` where a session has as many branches as there may be. */
export function requireRoom ({ branches }: Session): void {
  if (branches.length >= MAX_BRANCHES) throw conflict(`A session has at most ${MAX_BRANCHES} branches.`)
}

/** What has to be done to leave the line of a conversation for another one. Throws `not_found` and `conflict`. */
export class Branching {
  readonly #sessions: Sessions
  readonly #messages: MessageRepository

  constructor (sessions: Sessions, messages: MessageRepository) {
    this.#sessions = sessions
    this.#messages = messages
  }

  /** To say something else than a message of the user did. */
  async edit (scope: SessionScope, sessionId: string, messageId: string, input: MessageInput): Promise<TurnWork & { kind: 'edit' }> {
    const { session, message: edited } = await this.#origin(scope, sessionId, messageId)
    if (edited.role !== 'user') throw conflict('Only what the user said can be said differently; a reply can be regenerated.')
    const parent = edited.parentId === null ? null : await this.#messages.find(session.id, edited.parentId)
    return { kind: 'edit', input, edited, branch: branchBehind(parent ?? null) }
  }

  /** To have another reply to a message of the user, which may also be named by one of its replies. */
  async regenerate (scope: SessionScope, sessionId: string, messageId: string): Promise<TurnWork & { kind: 'regenerate' }> {
    const { session, message } = await this.#origin(scope, sessionId, messageId)
    if (message.role === 'bot' && message.replyTo === undefined) throw conflict('This reply answers nothing that was said.')
    const answered = message.replyTo === undefined ? message : await this.#messages.find(session.id, message.replyTo)
    if (!answered || answered.status === 'deleted' || answered.seq <= session.clearedSeq) throw conflict('What was to be replied to has been deleted.')
    return { kind: 'regenerate', answered, branch: branchBehind(answered) }
  }

  async #origin (scope: SessionScope, sessionId: string, messageId: string): Promise<{ session: Session, message: Message }> {
    const found = await this.#sessions.requireMessage(scope, sessionId, messageId)
    if (found.message.status === 'deleted' && found.message.role === 'user') throw conflict('The message has been deleted.')
    requireRoom(found.session)
    return found
  }
}
