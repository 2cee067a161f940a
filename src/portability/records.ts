import {
  ConfigRecord, ConfigVersionRecord, MessageRecord, SessionRecord, type TransferEnd, type TransferHeader,
  TRANSFER_FORMAT, TRANSFER_FORMAT_VERSION
} from '../../schemas/transfer.ts'
import { interruption } from '../chat/turn-taking.ts'
import { settingsFrom } from '../chatbots/settings.ts'
import { type ErrorCode } from '../errors.ts'
import { settingsIn } from '../store/chatbot-settings.ts'
import { type ChatbotVersion } from '../store/chatbot-versions.ts'
import { type Chatbot } from '../store/chatbots.ts'
import { type Message } from '../store/message.ts'
import { type Session } from '../store/sessions.ts'
import { type MovedSession } from '../store/transfers.ts'

interface Shape {
  readonly properties?: Record<string, object>
  readonly anyOf?: object[]
  readonly items?: object
}

/** The members that a schema names, in its order, so that the same thing is always written the same way. */
function inOrder (schema: object, value: unknown): unknown {
  const { properties, anyOf, items }: Shape = schema
  if (value instanceof Date) return value.toISOString()
  if (typeof value !== 'object' || value === null) return value
  if (anyOf) return inOrder(anyOf[0]!, value)
  if (Array.isArray(value)) return items ? value.map((item) => inOrder(items, item)) : value
  if (!properties) return value
  const ordered: Record<string, unknown> = {}
  for (const [name, inner] of Object.entries(properties)) {
    const member = (value as Record<string, unknown>)[name]
    if (member !== undefined) ordered[name] = inOrder(inner, member)
  }
  return ordered
}

const line = (record: unknown) => `${JSON.stringify(record)}\n`

export function headerLine (exportedAt: Date): string {
  const header: TransferHeader = {
    type: 'export',
    format: TRANSFER_FORMAT,
    formatVersion: TRANSFER_FORMAT_VERSION,
    exportedAt: exportedAt.toISOString()
  }
  return line(header)
}

export function endLine (counts: TransferEnd['counts']): string {
  return line({ type: 'end', counts } satisfies TransferEnd)
}

export function configLine (chatbot: Chatbot): string {
  return line(inOrder(ConfigRecord, { type: 'config', ...chatbot, settings: settingsIn(chatbot) }))
}

export function configVersionLine (configId: string, version: ChatbotVersion): string {
  return line(inOrder(ConfigVersionRecord, { type: 'configVersion', configId, ...version }))
}

export function sessionLine (session: Session): string {
  return line(inOrder(SessionRecord, { type: 'session', ...session }))
}

/** A reply that is still being written is told as a crash would leave it: interrupted, with the text so far. */
export function messageLine (message: Message): string {
  const final = message.status === 'streaming' ? { ...message, ...interruption, endedAt: message.timestamp } : message
  return line(inOrder(MessageRecord, { type: 'message', ...final }))
}

export function chatbotFrom (record: ConfigRecord, tenantId: string): Chatbot {
  const { id, version, note, specificationId, createdAt, updatedAt, settings } = record
  return {
    ...settingsFrom(settings, '/settings'),
    id,
    tenantId,
    version,
    note,
    specificationId,
    createdAt: new Date(createdAt),
    updatedAt: new Date(updatedAt)
  }
}

export function versionFrom ({ version, note, createdAt, settings }: ConfigVersionRecord): ChatbotVersion {
  return { version, note, createdAt: new Date(createdAt), settings: settingsFrom(settings, '/settings') }
}

export function sessionFrom (record: SessionRecord, tenantId: string): MovedSession {
  const { type: _, branches, summary, startedAt, lastActivity, ...rest } = record
  return {
    tenantId,
    ...rest,
    branches: branches.map((branch) => ({ ...branch, createdAt: new Date(branch.createdAt) })),
    summary: summary && { ...summary, createdAt: new Date(summary.createdAt) },
    startedAt: new Date(startedAt),
    lastActivity: new Date(lastActivity)
  }
}

/** `session`: the one that it belongs to, whose tenant, chatbot, user and channel are its own, too. */
export function messageFrom (record: MessageRecord, { tenantId, configId, userId, channel }: MovedSession): Message {
  const { type: _, timestamp, endedAt, feedback, error, ...rest } = record
  return {
    tenantId,
    configId,
    userId,
    channel,
    ...rest,
    timestamp: new Date(timestamp),
    ...(endedAt !== undefined && { endedAt: new Date(endedAt) }),
    ...(error && { error: { ...error, code: error.code as ErrorCode } }),
    ...(feedback && { feedback: { ...feedback, at: new Date(feedback.at) } })
  }
}
