import { type MessageEnded } from '../../schemas/message-event.ts'
import { type TurnStarted } from '../../schemas/feed-event.ts'
import { begun, ending } from '../chat/events.ts'
import { presentFeedback, presentMessage } from '../chat/present.ts'
import { type Occurrence } from '../problem.ts'
import { branchName } from '../sessions/lines.ts'
import { type Change, type LogEntry } from '../store/changes.ts'
import { type Message } from '../store/message.ts'

/** Something that has happened, as readers of a feed are told it. */
export interface FeedEvent {
  readonly event: string
  readonly data: object
}

/** A turn as it has begun; one of both messages is there. */
export interface BegunTurn {
  readonly userMessage: Message | undefined
  readonly botMessage: Message | undefined
}

export function turnStarted ({ userMessage, botMessage }: BegunTurn): FeedEvent {
  const { sessionId, branchId } = (botMessage ?? userMessage)!
  const data: TurnStarted = {
    ...(userMessage && { userMessage: presentMessage(userMessage) }),
    ...(botMessage && { botMessage: begun(botMessage) }),
    branchId: branchName(sessionId, branchId)
  }
  return { event: 'message.started', data }
}

/** How a reply has ended, also to a reader who comes after it was rated or erased: that is told by later events. */
export function turnEnded ({ feedback: _, ...botMessage }: Message, occurrence: Occurrence): FeedEvent {
  const data: MessageEnded = ending(botMessage, occurrence)
  const { status, wasStatus = 'completed' } = botMessage
  return { event: `message.${status === 'deleted' ? wasStatus : status}`, data }
}

function detailsOf (sessionId: string, change: Change): object {
  switch (change.type) {
    case 'session.updated': {
      const { branchId, titleFrom: _, ...data } = change.data
      return { ...data, ...(branchId !== undefined && { branchId: branchName(sessionId, branchId) }) }
    }
    case 'message.feedback': {
      const { feedback } = change.data
      return { messageId: change.messageId, feedback: feedback && presentFeedback(feedback) }
    }
    case 'session.cleared': return { throughSeq: change.data.throughSeq }
    case 'message.deleted': return { messageId: change.messageId, ...change.data }
    default: return change.data
  }
}

export function changed (sessionId: string, entry: LogEntry): FeedEvent {
  return { event: entry.type, data: { sessionId, at: entry.at.toISOString(), ...detailsOf(sessionId, entry) } }
}

export function sessionDeleted (sessionId: string, at: Date): FeedEvent {
  return { event: 'session.deleted', data: { sessionId, at: at.toISOString() } }
}
