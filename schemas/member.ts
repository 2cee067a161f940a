import { EmailAddress, MailedToken, NewPassword, PersonName, RoleName, StoredEmail, StoredName, WantsCookie } from './account.ts'
import { Page } from './page.ts'
import { Id, Timestamp } from './text.ts'
import { OneOf, Type, closed, type Static } from './type.ts'

const Role = OneOf(['owner', 'admin', 'member', 'viewer'], {
  description: '`owner` and `admin`: everything in the tenant; only owners make and touch owners. `member`: configurations and conversations. `viewer`: reads them.'
})

export const Member = Type.Object({
  id: Id,
  email: StoredEmail,
  emailVerified: Type.Boolean({ description: 'Whether somebody has confirmed to read mail to it.' }),
  name: StoredName,
  role: RoleName,
  joinedAt: Timestamp
}, {
  $id: 'Member',
  description: 'Somebody who is in the tenant.',
  examples: [{
    id: '6650a1f2c3d4e5f601234567', email: 'ada@example.org', emailVerified: true, name: 'Ada', role: 'owner', joinedAt: '2026-01-01T12:00:00.000Z'
  }]
})
export type Member = Static<typeof Member>

export const MemberPage = Page('MemberPage', Member)

export const MemberPatch = Type.Object({ role: Role }, {
  ...closed, $id: 'MemberPatch', description: 'What a member is from now on.', examples: [{ role: 'member' }]
})

export const InvitationInput = Type.Object({ email: EmailAddress, role: Role }, {
  ...closed, $id: 'InvitationInput', description: 'Whom to ask in, and as what.', examples: [{ email: 'grace@example.org', role: 'member' }]
})

export const Invitation = Type.Object({
  id: Id, email: StoredEmail, role: RoleName, createdAt: Timestamp, expiresAt: Timestamp
}, {
  $id: 'Invitation',
  description: 'An invitation that was mailed and is not accepted yet. Its token is in the mail alone.',
  examples: [{
    id: '6650a1f2c3d4e5f601234567', email: 'grace@example.org', role: 'member', createdAt: '2026-01-01T12:00:00.000Z', expiresAt: '2026-01-08T12:00:00.000Z'
  }]
})
export type Invitation = Static<typeof Invitation>

export const InvitationPage = Page('InvitationPage', Invitation)

export const InvitationAcceptance = Type.Object({
  token: MailedToken,
  name: Type.Optional(PersonName),
  password: Type.Optional({ ...NewPassword, minLength: 1, description: 'Of the account with the invited address; where there is none, a new one with a name is made.' }),
  cookie: WantsCookie
}, {
  ...closed,
  $id: 'InvitationAcceptance',
  description: 'An invitation to accept.',
  examples: [{ token: 'q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA', name: 'Grace', password: 'correct horse battery' }]
})
export type InvitationAcceptance = Static<typeof InvitationAcceptance>
