import { sessionId } from './examples.ts'
import { Page, pageQuery } from './page.ts'
import { Id, NonBlankText, Timestamp, UserId } from './text.ts'
import { OneOf, OpenWord, OrNull, Type, closed, type Static } from './type.ts'

const scopes = ['tenant', 'user', 'session'] as const
const Reason = NonBlankText({ maxLength: 1000, description: 'Why, such as the number of a case. It stays when the hold is lifted, so do not name end users in it.' })

const Actor = Type.Object({
  kind: OpenWord(['account', 'api-key', 'jwt'], { description: '`account`, `api-key` or `jwt`.' }),
  id: Type.Union([Type.String(), Type.Null()], { description: 'The account, the API key or the `sub` of the token.' }),
  keyId: Type.Union([Type.String(), Type.Null()], { description: 'The API key that was used, or that the token was made with.' }),
  role: Type.Union([Type.String(), Type.Null()], { description: 'The role of the account, as it was then.' })
}, { description: 'Who did it.' })

export const LegalHold = Type.Object({
  id: Id,
  scope: OpenWord(scopes, { description: 'What is kept: `tenant`, all conversations of the tenant; `user`, those of one end user, later ones included; `session`, one of them.' }),
  userId: OrNull(UserId, 'The end user, for the scope `user`. Null with another scope, and once they were erased.'),
  sessionId: OrNull(Id, 'The session, for the scope `session`.'),
  reason: Reason,
  status: OpenWord(['active', 'lifted'], { description: '`active` or `lifted`.' }),
  createdAt: Timestamp,
  createdBy: Actor,
  liftedAt: OrNull(Timestamp, 'Null while it is active.'),
  liftedBy: OrNull(Actor, 'Who has lifted it. Null while it is active.')
}, {
  $id: 'LegalHold',
  description: 'An order to keep conversations, whatever else would remove them.',
  examples: [{
    id: '6650a1f2c3d4e5f601234577',
    scope: 'session',
    userId: null,
    sessionId,
    reason: 'Case 2026-17',
    status: 'active',
    createdAt: '2026-03-02T10:00:00.000Z',
    createdBy: { kind: 'account', id: '6650a1f2c3d4e5f601234500', keyId: null, role: 'owner' },
    liftedAt: null,
    liftedBy: null
  }]
})
export type LegalHold = Static<typeof LegalHold>

export const LegalHoldInput = Type.Object({
  scope: OneOf(scopes, { description: 'What is to be kept: all of the tenant, all of an end user, or one session.' }),
  userId: Type.Optional(UserId),
  sessionId: Type.Optional(Id),
  reason: Reason
}, {
  ...closed,
  $id: 'LegalHoldInput',
  description: 'What is to be kept, and why. `userId` comes with the scope `user` only, `sessionId` with `session` only.',
  examples: [{ scope: 'user', userId: 'customer-17', reason: 'Case 2026-17' }, { scope: 'session', sessionId, reason: 'Case 2026-17' }]
})
export type LegalHoldInput = Static<typeof LegalHoldInput>

export const LegalHoldPage = Page('LegalHoldPage', LegalHold)

export const LegalHoldQuery = Type.Object({
  ...pageQuery,
  status: Type.Optional(OneOf(['active', 'lifted'], { description: 'Only those that are like this.' }))
}, closed)
export type LegalHoldQuery = Static<typeof LegalHoldQuery>
