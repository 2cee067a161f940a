import { MAX_VERSION } from './config-version.ts'
import { session } from './examples.ts'
import { Usage } from './message.ts'
import { Page, pageQuery } from './page.ts'
import { Channel, Id, Metadata, StoredMetadata, Text, Timestamp, UserId } from './text.ts'
import { OneOf, OpenWord, OrNull, Type, closed, type Static } from './type.ts'

const title = Text({ maxLength: 200, description: 'Shown in lists of conversations.' })

export const SessionInput = Type.Object({
  configId: Text({ maxLength: 200, description: 'The chatbot to talk to.' }),
  configVersion: Type.Optional(Type.Integer({
    minimum: 1, maximum: MAX_VERSION, description: 'The version of the configuration to keep to. Absent: always the newest.'
  })),
  userId: Type.Optional(UserId),
  channel: Type.Optional(Channel),
  title: Type.Optional(title),
  metadata: Type.Optional(Metadata)
}, {
  ...closed,
  $id: 'SessionInput',
  description: 'A conversation to open.',
  examples: [{ configId: '6650a1f2c3d4e5f601234567', userId: 'customer-17', channel: 'web' }]
})
export type SessionInput = Static<typeof SessionInput>

export const SessionPatch = Type.Object({
  title: Type.Optional(OrNull(title, 'Shown in lists of conversations; null: none.')),
  metadata: Type.Optional(Metadata),
  status: Type.Optional(OneOf(['active', 'ended'], { description: 'An ended session takes no more messages.' })),
  branchId: Type.Optional(Type.String({
    pattern: '^[0-9a-f]{24}$', description: 'The branch to go on with, from its last message. While a message is being answered: 409.'
  }))
}, { ...closed, $id: 'SessionPatch', description: 'What to change; absent members stay as they are.', examples: [{ status: 'ended' }] })
export type SessionPatch = Static<typeof SessionPatch>

export const Session = Type.Object({
  id: Id,
  sessionId: Type.String({ pattern: '^[0-9a-f]{24}$', description: 'The same as `id`.' }),
  configId: Id,
  configVersion: Type.Union([Type.Integer(), Type.Null()], {
    description: 'The version of the configuration that the session keeps to. Null: always the newest.'
  }),
  userId: Type.Union([Type.String(), Type.Null()], { description: 'Null: a session of no particular user.' }),
  channel: OrNull(Type.String(), 'Where the conversation takes place. Null: it was not said.'),
  external: Type.Optional(Type.Object({
    integrationId: OrNull(Type.String(), 'The integration that they write by. Null: somebody speaks for them with a credential.'),
    userId: Type.String({ description: 'What the channel calls them.' })
  }, { description: 'Who it is with, where messages come by webhooks.' })),
  title: OrNull(Type.String(), 'Shown in lists of conversations. Null: it has none, or none yet.'),
  metadata: StoredMetadata,
  status: OpenWord(['active', 'ended'], { description: '`active` or `ended`.' }),
  branchId: Type.String({ pattern: '^[0-9a-f]{24}$', description: 'The branch that is spoken on; the first one has the id of the session.' }),
  messageCount: Type.Integer({ minimum: 0, description: 'Messages of both sides, on all branches.' }),
  upkeep: Type.Optional({ ...Usage, description: 'What its title and its summaries took, beside the replies.' }),
  startedAt: Timestamp,
  lastActivity: Timestamp
}, { $id: 'Session', description: 'A conversation with a chatbot.', examples: [session] })
export type Session = Static<typeof Session>

export const SessionPage = Page('SessionPage', Session)

export const SessionQuery = Type.Object({
  ...pageQuery,
  configId: Type.Optional(Type.String({ pattern: '^[0-9a-f]{24}$', description: 'Only sessions of this chatbot.' })),
  userId: Type.Optional(UserId)
}, closed)
export type SessionQuery = Static<typeof SessionQuery>
