import { createHash } from 'node:crypto'
import { type ThreadMessageRecord, type ThreadRecord } from '../../schemas/thread.ts'
import { asFirstOf, behind, type SaidElsewhere } from '../sessions/said-elsewhere.ts'
import { type Message } from '../store/message.ts'
import { type MovedSession } from '../store/transfers.ts'

/** A message and the line that it came from. */
export interface ThreadMessage {
  readonly line: number
  readonly record: ThreadMessageRecord
}

/** A thread and all of its messages, as a file has them. */
export interface Thread {
  readonly record: ThreadRecord
  readonly line: number
  readonly messages: ThreadMessage[]
}

const dateOf = (seconds: number) => new Date(seconds * 1000)

/** The same for the same thing of a tenant, whenever it is imported. */
function idOf (tenantId: string, ...names: string[]): string {
  return createHash('sha256').update(JSON.stringify([tenantId, 'openai', ...names])).digest('hex').slice(0, 24)
}

/** Threads were listed the newest first, unless somebody had asked otherwise; many messages are of one second. */
function inOrder (messages: readonly ThreadMessage[]): ThreadMessage[] {
  const [first, last] = [messages[0], messages.at(-1)]
  const isReversed = first && last && first.record.created_at > last.record.created_at
  return (isReversed ? messages.toReversed() : [...messages]).sort((a, b) => a.record.created_at - b.record.created_at)
}

/** Of what is no text, its kind is told. */
const textOf = ({ content }: ThreadMessageRecord) => content.map(({ type, text }) => text?.value ?? `[${type}]`).join('\n')

function saidBy (tenantId: string, { id, thread_id: threadId, role, created_at: createdAt, status, metadata, ...record }: ThreadMessageRecord): SaidElsewhere {
  return {
    id: idOf(tenantId, threadId, id),
    role: role === 'user' ? 'user' : 'bot',
    content: textOf({ id, thread_id: threadId, role, created_at: createdAt, ...record }),
    timestamp: dateOf(createdAt),
    ...(role === 'assistant' && status === 'incomplete' && { status: 'stopped' }),
    ...(metadata && Object.keys(metadata).length > 0 && { metadata })
  }
}

/** A thread as a session of a chatbot. */
export function sessionFromThread (
  { record: { id: threadId, created_at: createdAt, metadata }, messages: given }: Thread, tenantId: string, configId: string
): { session: MovedSession, messages: Message[] } {
  const id = idOf(tenantId, threadId)
  const place = { id, tenantId, configId, userId: null, channel: null }
  const messages = asFirstOf(place, inOrder(given).map(({ record }) => saidBy(tenantId, record)))
  const session: MovedSession = {
    ...place,
    configVersion: null,
    title: null,
    titleFrom: [],
    summary: null,
    removals: 0,
    metadata: { ...metadata, openaiThreadId: threadId },
    status: 'active',
    startedAt: dateOf(createdAt),
    lastActivity: messages.at(-1)?.timestamp ?? dateOf(createdAt),
    clearedSeq: 0,
    branchId: null,
    branches: [],
    ...behind(messages)
  }
  return { session, messages }
}
