import { Page, pageQuery } from './page.ts'
import { Id, NonBlankText, Timestamp } from './text.ts'
import { OpenWord, Type, closed, type Static } from './type.ts'

const orNull = (description: string) => Type.Union([Type.String(), Type.Null()], { description })
const time = (description: string) => Type.Optional(Type.String({ format: 'date-time', description }))

export const AuditQuery = Type.Object({
  ...pageQuery,
  action: Type.Optional(Type.String({ pattern: '^[a-z][a-z.-]{0,59}$', description: 'Only what was done like this, such as `config.updated`.' })),
  actorId: Type.Optional(NonBlankText({ maxLength: 200, description: 'Only what was done by them: an account, an API key or the `sub` of a token.' })),
  targetType: Type.Optional(Type.String({ pattern: '^[a-z][a-z-]{0,39}$', description: 'Only what was done to things of this kind, such as `config`.' })),
  targetId: Type.Optional(NonBlankText({ maxLength: 200, description: 'Only what was done to this.' })),
  from: time('Only what was done at this time or later.'),
  to: time('Only what was done before this time.')
}, closed)
export type AuditQuery = Static<typeof AuditQuery>

export const AuditEntry = Type.Object({
  id: Id,
  at: Timestamp,
  action: Type.String({ description: 'What was done, as `x-audit` of the operation says. Open to growth.' }),
  actor: Type.Object({
    kind: OpenWord(['account', 'api-key', 'jwt', 'visitor', 'anonymous'], { description: '`account`, `api-key`, `jwt`, `visitor` or `anonymous`.' }),
    id: orNull('The account, the API key or the `sub` of the token.'),
    keyId: orNull('The API key that was used, or that the token was made with.'),
    role: orNull('The role of the account, as it was then.')
  }, { description: 'Who did it.' }),
  target: Type.Object({
    type: Type.String({ description: 'What kind of thing it was done to. Open to growth.' }),
    id: orNull('Which one. Null: to none in particular, or to none that came to be.')
  }, { description: 'What it was done to.' }),
  before: Type.Unknown({ description: 'What was. Of a change only what differs. Secrets are `***`. Null: nothing, or nothing that is recorded.' }),
  after: Type.Unknown({ description: 'What is since. As for `before`.' }),
  status: Type.Union([Type.Integer(), Type.Null()], {
    description: 'The status of the answer; below 400, it was done. Null: no answer yet, or the server died before it: it may have been done.'
  }),
  ip: Type.String({ description: 'The address it came from.' }),
  userAgent: orNull('The first 256 characters of the header.'),
  requestId: Type.String({ description: 'The `x-request-id` of the answer.' })
}, {
  $id: 'AuditEntry',
  description: 'What somebody did.',
  examples: [{
    id: '6650a1f2c3d4e5f601234567',
    at: '2026-03-01T09:30:00.000Z',
    action: 'config.updated',
    actor: { kind: 'account', id: '6650a1f2c3d4e5f601234500', keyId: null, role: 'admin' },
    target: { type: 'config', id: '6650a1f2c3d4e5f601234511' },
    before: { historyLimit: 20, version: 3 },
    after: { historyLimit: 40, version: 4 },
    status: 200,
    ip: '203.0.113.7',
    userAgent: 'curl/8.5.0',
    requestId: '0b3c2f5e-6c0c-4f0d-9a6f-6a1d1c1f5f10'
  }]
})
export type AuditEntry = Static<typeof AuditEntry>

export const AuditPage = Page('AuditPage', AuditEntry)
