import { ChatbotSettingsInput } from './chatbot-settings.ts'
import { botMessage, ended, session, userMessage } from './examples.ts'
import { Message, Usage } from './message.ts'
import { Session } from './session.ts'
import { Id, Metadata, Text, Timestamp, UserId } from './text.ts'
import { Long, OneOf, Ref, Type, closed, type Static, type TSchema } from './type.ts'

export const TRANSFER_FORMAT = 'parley'
export const TRANSFER_FORMAT_VERSION = 1

const orNull = <T extends TSchema>(schema: T) => Type.Union([schema, Type.Null()])
const number = (minimum: number) => Long({ minimum, maximum: 2 ** 40 })
const many = (description: string) => Long({ minimum: 0, maximum: 2 ** 40, description })
const short = Text({ maxLength: 1000, description: 'A short text.' })
const long = Text({ maxLength: 4_000_000, description: 'A text.' })
const usage = Type.Object({ ...Usage.properties, estimated: Type.Optional(Type.Literal(true)) }, closed)
const counts = { configs: many('Configurations.'), sessions: many('Sessions.'), messages: many('Messages.') }
const inAll = { description: 'How many of each.' }

/** The first line. */
export const TransferHeader = Type.Object({
  type: Type.Literal('export'),
  format: Type.Literal(TRANSFER_FORMAT),
  formatVersion: Type.Literal(TRANSFER_FORMAT_VERSION),
  exportedAt: Timestamp
}, closed)
export type TransferHeader = Static<typeof TransferHeader>

export const ConfigRecord = Type.Object({
  type: Type.Literal('config'),
  id: Id,
  version: number(1),
  note: orNull(short),
  specificationId: orNull(Id),
  createdAt: Timestamp,
  updatedAt: Timestamp,
  settings: ChatbotSettingsInput
}, closed)
export type ConfigRecord = Static<typeof ConfigRecord>

/** A version before the current one, behind its configuration. */
export const ConfigVersionRecord = Type.Object({
  type: Type.Literal('configVersion'),
  configId: Id,
  version: number(1),
  note: orNull(short),
  createdAt: Timestamp,
  settings: ChatbotSettingsInput
}, closed)
export type ConfigVersionRecord = Static<typeof ConfigVersionRecord>

const BranchRecord = Type.Object({
  id: Id,
  from: orNull(Id),
  parentId: orNull(Id),
  parentSeq: number(0),
  startSeq: number(1),
  left: orNull(Id),
  createdAt: Timestamp
}, closed)

const SummaryRecord = Type.Object({
  text: long,
  throughSeq: number(1),
  branchId: orNull(Id),
  messageCount: number(0),
  source: OneOf(['model', 'rules'], { description: 'Who wrote it.' }),
  model: orNull(short),
  usage: Type.Optional(usage),
  createdAt: Timestamp
}, closed)

/** Somebody on an external channel, so that what is said to them finds its way back. */
const external = {
  integrationId: orNull(Id),
  userId: Text({ maxLength: 200, description: 'What the channel calls them.' })
}

export const SessionRecord = Type.Object({
  type: Type.Literal('session'),
  id: Id,
  configId: Id,
  configVersion: orNull(number(1)),
  userId: orNull(UserId),
  channel: orNull(short),
  external: Type.Optional(Type.Object(external, closed)),
  title: orNull(short),
  titleFrom: Type.Array(number(1), { maxItems: 100 }),
  metadata: Metadata,
  status: OneOf(['active', 'ended'], { description: 'An ended session takes no more messages.' }),
  startedAt: Timestamp,
  lastActivity: Timestamp,
  nextSeq: number(1),
  clearedSeq: number(0),
  rev: number(0),
  removals: number(0),
  branchId: orNull(Id),
  branches: Type.Array(BranchRecord, { maxItems: 100_000 }),
  tipId: orNull(Id),
  summary: orNull(SummaryRecord),
  upkeep: Type.Optional(usage)
}, closed)
export type SessionRecord = Static<typeof SessionRecord>

const finalStatuses = ['completed', 'stopped', 'failed', 'interrupted'] as const

export const MessageRecord = Type.Object({
  type: Type.Literal('message'),
  id: Id,
  sessionId: Id,
  seq: number(1),
  rev: number(0),
  parentId: orNull(Id),
  branchId: orNull(Id),
  role: OneOf(['user', 'bot'], { description: 'Who said it.' }),
  content: long,
  timestamp: Timestamp,
  status: OneOf([...finalStatuses, 'deleted'], { description: 'How it ended.' }),
  wasStatus: Type.Optional(OneOf(finalStatuses, { description: 'Of a deleted message.' })),
  endedAt: Type.Optional(Timestamp),
  editOf: Type.Optional(Id),
  replyTo: Type.Optional(Id),
  external: Type.Optional(Type.Object({ ...external, messageId: Type.Optional(short) }, closed)),
  configVersion: Type.Optional(number(1)),
  model: Type.Optional(short),
  fallback: Type.Optional(Type.Literal(true)),
  finishReason: Type.Optional(short),
  usage: Type.Optional(usage),
  latency: Type.Optional(Type.Object({ firstTokenMs: Type.Optional(Type.Number()), totalMs: Type.Number() }, closed)),
  error: Type.Optional(Type.Object({ code: short, detail: long }, closed)),
  metadata: Type.Optional(Metadata),
  feedback: Type.Optional(Type.Object({
    rating: OneOf(['up', 'down'], { description: 'What a reader thought of it.' }),
    comment: Type.Optional(Text({ maxLength: 2000, description: 'In their own words.' })),
    tags: Type.Array(short, { maxItems: 20 }),
    at: Timestamp
  }, closed)),
  idempotencyKey: Type.Optional(short),
  requestHash: Type.Optional(short)
}, closed)
export type MessageRecord = Static<typeof MessageRecord>

/** A file as it goes over the wire. */
export const TransferLines = Type.Unsafe<AsyncIterable<Buffer>>({
  $id: 'TransferLines',
  description: 'JSON, one record on each line: `export`, then each `config` with its `configVersion`s, then each ' +
    '`session` with its `message`s, and `end` with their counts. Without the last line, the file was cut off. An import ' +
    'also takes the objects `thread` and `thread.message` of OpenAI\'s Assistants API.',
  examples: [
    '{"type":"export","format":"parley","formatVersion":1,"exportedAt":"2026-03-01T09:30:00.000Z"}\n' +
    '{"type":"end","counts":{"configs":0,"sessions":0,"messages":0}}\n'
  ]
})

/** The last line: without it, the file was cut off. */
export const TransferEnd = Type.Object({ type: Type.Literal('end'), counts: Type.Object(counts, { ...closed, ...inAll }) }, closed)
export type TransferEnd = Static<typeof TransferEnd>

/** A line of a file. */
export type TransferRecord =
  TransferHeader | ConfigRecord | ConfigVersionRecord | SessionRecord | MessageRecord | TransferEnd

export const ExportQuery = Type.Object({
  userId: Type.Optional(UserId),
  configId: Type.Optional(
    Type.String({ pattern: '^[0-9a-f]{24}$', description: 'Only this chatbot and its sessions.' })
  )
}, closed)
export type ExportQuery = Static<typeof ExportQuery>

export const ImportQuery = Type.Object({
  configId: Type.Optional(
    Type.String({ pattern: '^[0-9a-f]{24}$', description: 'For a file of OpenAI\'s threads, and needed there: the configuration that they become sessions of.' })
  )
}, closed)
export type ImportQuery = Static<typeof ImportQuery>

export const SessionExportQuery = Type.Object({
  format: OneOf(['json', 'markdown'], {
    default: 'json', description: '`json`: all branches, for programs. `markdown`: the active branch, for people.'
  })
}, closed)
export type SessionExportQuery = Static<typeof SessionExportQuery>

export const SessionExport = Type.Object({
  format: Type.Literal('parley.session', { description: 'What this document is.' }),
  formatVersion: Type.Literal(1, { description: 'How it is to be read.' }),
  exportedAt: Timestamp,
  session: Ref(Session),
  messages: Type.Array(Ref(Message), { description: 'Of all branches, in ascending order of `seq`.' })
}, {
  $id: 'SessionExport',
  description: 'A conversation as one document.',
  examples: [{ format: 'parley.session', formatVersion: 1, exportedAt: ended, session, messages: [userMessage, botMessage] }]
})

export const ImportReport = Type.Object({ imported: Type.Object(counts, inAll), skipped: Type.Object(counts, inAll) }, {
  $id: 'ImportReport',
  description: 'What an import has added, and what was there already.',
  examples: [{
    imported: { configs: 1, sessions: 20, messages: 412 }, skipped: { configs: 0, sessions: 0, messages: 0 }
  }]
})
export type ImportReport = Static<typeof ImportReport>
