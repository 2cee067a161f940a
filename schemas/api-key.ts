import { Page } from './page.ts'
import { NonBlankText, Timestamp } from './text.ts'
import { OneOf, OpenWord, Type, closed, type Static } from './type.ts'

const scopeNames = [
  'configs:read', 'configs:write', 'sessions:read', 'sessions:write', 'chat', 'webhooks:read', 'webhooks:write', 'admin', 'platform'
] as const

const MAX_OVERLAP_SECONDS = 7 * 86_400

const orNull = <T extends Parameters<typeof Type.Optional>[0]>(schema: T, description: string) =>
  Type.Union([schema, Type.Null()], { description })

export const ApiKeyInput = Type.Object({
  name: NonBlankText({ maxLength: 120, description: 'What the key is for.' }),
  scopes: Type.Array(OneOf(scopeNames, { description: 'What it covers.' }), {
    minItems: 1, maxItems: scopeNames.length, uniqueItems: true, description: 'No more than your own credential covers; `platform` only where that has it.'
  }),
  expiresAt: Type.Optional(Type.String({ format: 'date-time', maxLength: 40, description: 'From then on the key is refused. Absent: never.' })),
  requestsPerMinute: Type.Optional(Type.Integer({
    minimum: 1, maximum: 100_000, description: 'Requests per minute in place of those of everybody. More than those only from a holder of `platform`.'
  }))
}, {
  ...closed,
  $id: 'ApiKeyInput',
  description: 'A key to make.',
  examples: [{ name: 'Web shop', scopes: ['sessions:read', 'sessions:write'], expiresAt: '2030-01-01T00:00:00.000Z' }]
})
export type ApiKeyInput = Static<typeof ApiKeyInput>

const shown = {
  id: Type.String({ pattern: '^[0-9a-f]{24}$', description: 'Identifier: 24 lower-case hexadecimal characters.' }),
  prefix: Type.String({ description: 'The public part of the key, which stays when it is rotated.' }),
  name: Type.String({ description: 'What the key is for.' }),
  scopes: Type.Array(OpenWord(scopeNames, { description: 'A scope.' }), { description: 'What it covers.' }),
  requestsPerMinute: orNull(Type.Integer(), 'Null: as many as everybody.'),
  createdAt: Timestamp,
  createdBy: orNull(Type.String(), 'The account, user or key that made it. Null: the server itself.'),
  expiresAt: orNull(Timestamp, 'Null: it does not end by itself.'),
  lastUsedAt: orNull(Timestamp, 'To the minute. Null: never.'),
  revokedAt: orNull(Timestamp, 'Null: it is good.')
}

const example = {
  id: '6650a1f2c3d4e5f601234567',
  prefix: 'pk_q83vEjRW',
  name: 'Web shop',
  scopes: ['sessions:read', 'sessions:write'],
  requestsPerMinute: null,
  createdAt: '2026-01-01T12:00:00.000Z',
  createdBy: '6650a1f2c3d4e5f601234500',
  expiresAt: '2030-01-01T00:00:00.000Z',
  lastUsedAt: null,
  revokedAt: null
}

export const ApiKey = Type.Object(shown, { $id: 'ApiKey', description: 'An API key, without its secret.', examples: [example] })
export type ApiKey = Static<typeof ApiKey>

export const IssuedApiKey = Type.Object({
  ...shown,
  key: Type.String({ description: 'The key itself, `pk_<8>_<32>`. It is shown this once and kept as a hash only.' })
}, { $id: 'IssuedApiKey', description: 'An API key with its secret.', examples: [{ ...example, key: 'pk_q83vEjRW_…' }] })
export type IssuedApiKey = Static<typeof IssuedApiKey>

export const ApiKeyPage = Page('ApiKeyPage', ApiKey)

export const ApiKeyRotation = Type.Object({
  overlapSeconds: Type.Optional(Type.Integer({
    minimum: 0, maximum: MAX_OVERLAP_SECONDS, default: 3600, description: 'How long the old secret still counts; 0 ends it at once. Absent: an hour.'
  }))
}, { ...closed, $id: 'ApiKeyRotation', description: 'How to give a key another secret.', examples: [{ overlapSeconds: 86_400 }] })
export type ApiKeyRotation = Static<typeof ApiKeyRotation>
