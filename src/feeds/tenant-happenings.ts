import { type Occurrence } from '../problem.ts'
import { type Change, type ChangeRepository, type PublishedChange } from '../store/changes.ts'
import { type Message } from '../store/message.ts'
import { type EventFilter, type MessageRepository } from '../store/messages.ts'
import { type Found, type Stretch } from '../store/stretch.ts'
import { changed, type FeedEvent, turnEnded, turnStarted } from './feed-event.ts'
import { compare, type TenantPosition } from './tenant-position.ts'

// Kinds of places, in the order of what happens in the same moment.
const [START, CHANGE, END] = [0, 1, 2]

const changeTypes: ReadonlyArray<Change['type']> = [
  'message.deleted', 'message.feedback', 'session.updated', 'session.cleared', 'session.deleted'
]
const endTypes = ['message.completed', 'message.stopped', 'message.failed', 'message.interrupted']

export interface Repositories {
  readonly messages: MessageRepository
  readonly changes: ChangeRepository
}

/** Which events are meant. */
export interface Wanted {
  readonly filter: EventFilter
  /** Undefined: all. */
  readonly types: ReadonlySet<string> | undefined
  readonly occurrence: Occurrence
}

/** Something that has happened, in its place. `seq`: of the message that began or ended; undefined: it was a change. */
export interface Happening {
  readonly position: TenantPosition
  readonly sessionId: string
  readonly configId: string
  readonly seq: number | undefined
  readonly event: FeedEvent
}

/** What began, was changed and ended for a tenant in a stretch of time, or in the beginning of it, in order. */
export async function readStretch (
  { messages, changes }: Repositories, { filter, types, occurrence }: Wanted, stretch: Stretch
): Promise<Found<Happening>> {
  const isWanted = (event: string) => types?.has(event) ?? true
  const wantedChanges = changeTypes.filter(isWanted)
  const nothing = { found: [], through: stretch.to }
  const [begun, published, ended] = await Promise.all([
    isWanted('message.started') ? messages.dated('timestamp', filter, stretch) : nothing,
    wantedChanges.length > 0 ? changes.published(filter, wantedChanges, stretch) : nothing,
    endTypes.some(isWanted) ? messages.dated('endedAt', filter, stretch) : nothing
  ])
  const through = new Date(Math.min(...[begun, published, ended].map((source) => source.through.getTime())))
  const happenings = [
    ...await Promise.all(turnsIn(begun.found).map(async (turn) => await asStart(messages, turn))),
    ...published.found.map(asChange),
    ...ended.found.map((message) => asEnd(message, occurrence)).filter(({ event }) => isWanted(event.event))
  ]
  const found = happenings.filter(({ position }) => position.time <= through.getTime())
  return { found: found.sort((a, b) => compare(a.position, b.position)), through }
}

/** The messages that began together: they bear the same time, so all of them are there. */
function turnsIn (messages: readonly Message[]): Message[][] {
  return [...Map.groupBy(messages, ({ sessionId, rev }) => `${sessionId}:${rev}`).values()]
}

async function asStart (messages: MessageRepository, turn: readonly Message[]): Promise<Happening> {
  const [first] = turn as [Message]
  const { sessionId, configId, rev, timestamp, seq } = first
  const botMessage = turn.find(({ role }) => role === 'bot')
  const userMessage = turn.find(({ role }) => role === 'user') ?? await messages.find(sessionId, first.replyTo!)
  return {
    position: { time: timestamp.getTime(), sessionId, rev, kind: START },
    sessionId,
    configId,
    seq,
    event: turnStarted({ userMessage, botMessage })
  }
}

function asChange (change: PublishedChange): Happening {
  const { sessionId, configId, rev, publishedAt } = change
  return {
    position: { time: publishedAt.getTime(), sessionId, rev, kind: CHANGE },
    sessionId,
    configId,
    seq: undefined,
    event: changed(sessionId, change)
  }
}

function asEnd (message: Message, occurrence: Occurrence): Happening {
  const { sessionId, configId, rev, seq, endedAt } = message
  return {
    position: { time: endedAt!.getTime(), sessionId, rev, kind: END },
    sessionId,
    configId,
    seq,
    event: turnEnded(message, occurrence)
  }
}
