import { type ObjectId } from 'mongodb'
import { type ErrorCode } from '../errors.ts'
import { type Usage } from '../llm/provider.ts'
import { type Asked } from './asked.ts'
import { type Feedback } from './changes.ts'
import { parseId } from './ids.ts'
import { type ExternalUser } from './sessions.ts'
import { type Spent } from './usage-events.ts'

/** `streaming` is the only status that is not final, except that whatever has ended may be `deleted`. */
export type MessageStatus = 'completed' | 'streaming' | 'stopped' | 'failed' | 'interrupted' | 'deleted'

export interface Message {
  readonly id: string
  readonly tenantId: string
  readonly configId: string
  /** Of a bot message: the version that it was written by. Absent on one that was cut off before this was known. */
  readonly configVersion?: number
  readonly sessionId: string
  readonly userId: string | null
  readonly channel: string | null
  readonly seq: number
  /** The place of its beginning in the session's order of events; a reply and what it answers begin together. */
  readonly rev: number
  /** The message before it on its line. */
  readonly parentId: string | null
  /** Its line; null: the session's first one. */
  readonly branchId: string | null
  /** Of a user message: the one that it was said instead of. */
  readonly editOf?: string
  /** Of a reply to somebody on an external channel: who they are there, and what their message is called there. */
  readonly external?: ExternalUser & { readonly messageId?: string }
  readonly role: 'user' | 'bot'
  readonly content: string
  readonly timestamp: Date
  readonly status: MessageStatus
  readonly replyTo?: string
  readonly model?: string
  /** The offline provider wrote it, because the model was away. */
  readonly fallback?: true
  readonly finishReason?: string
  readonly usage?: Usage
  readonly latency?: { readonly firstTokenMs?: number, readonly totalMs: number }
  readonly error?: { readonly code: ErrorCode, readonly detail: string }
  readonly idempotencyKey?: string
  readonly requestHash?: string
  readonly metadata?: Record<string, unknown>
  readonly feedback?: Feedback
  readonly asked?: Asked
  /** Of a bot message that is no longer streaming: when, by the store's clock. */
  readonly endedAt?: Date
  /** Of a deleted message: what its status was. */
  readonly wasStatus?: MessageStatus
}

/** What the end of a turn adds to its bot message. */
export type MessageEnd = Pick<
  Message, 'content' | 'configVersion' | 'model' | 'fallback' | 'finishReason' | 'usage' | 'latency' | 'error'
> & {
  readonly status: Exclude<MessageStatus, 'streaming' | 'deleted'>
}

/** What a reply took, kept with it until that is in the ledger and its event on its way. */
export interface Unrecorded {
  readonly keyId: string | null
  /** Whose quotas it was reserved from. */
  readonly subjects: readonly string[]
  readonly attempts: readonly Spent[]
}

/** A reply of which not everything is done that follows from its end. */
export type UnrecordedMessage = Message & { readonly unrecorded: Unrecorded }

type References = 'configId' | 'sessionId' | 'parentId' | 'branchId' | 'replyTo' | 'editOf'

/** A message as it is stored. */
export interface MessageDocument extends Omit<Message, 'id' | References> {
  _id: ObjectId
  configId: ObjectId
  sessionId: ObjectId
  parentId: ObjectId | null
  /** Absent on the first line of a session. */
  branchId?: ObjectId
  replyTo?: ObjectId
  editOf?: ObjectId
  /** When its feedback was given. */
  ratedAt?: Date
  /** The change that set its feedback, or took it away. */
  feedbackRev?: number
  unrecorded?: Unrecorded
}

/** A message as the core knows it. */
export function toMessage (document: MessageDocument): Message {
  const {
    _id, configId, sessionId, parentId, branchId, replyTo, editOf, ratedAt: _a, feedbackRev: _r, unrecorded: _u, ...rest
  } = document
  return {
    id: _id.toHexString(),
    configId: configId.toHexString(),
    sessionId: sessionId.toHexString(),
    parentId: parentId?.toHexString() ?? null,
    branchId: branchId?.toHexString() ?? null,
    ...(replyTo && { replyTo: replyTo.toHexString() }),
    ...(editOf && { editOf: editOf.toHexString() }),
    ...rest
  }
}

/** A message as it is to be stored. */
export function toDocument ({ id, configId, sessionId, parentId, branchId, replyTo, editOf, ...rest }: Message): MessageDocument {
  return {
    _id: parseId(id)!,
    configId: parseId(configId)!,
    sessionId: parseId(sessionId)!,
    parentId: parentId === null ? null : parseId(parentId)!,
    ...(branchId !== null && { branchId: parseId(branchId)! }),
    ...(replyTo !== undefined && { replyTo: parseId(replyTo)! }),
    ...(editOf !== undefined && { editOf: parseId(editOf)! }),
    ...rest
  }
}

/** A reply of which not all is done, as the core knows it. */
export function toUnrecorded (document: MessageDocument): UnrecordedMessage {
  return { ...toMessage(document), unrecorded: document.unrecorded! }
}
