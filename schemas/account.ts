import { NonBlankText, Id, Timestamp } from './text.ts'
import { OpenWord, Type, closed, type Static } from './type.ts'

// What browsers take for an e-mail address, which is ASCII: with other characters, two spellings may be one address.
const label = '[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?'
export const EmailAddress = Type.String({
  minLength: 3,
  maxLength: 254,
  pattern: `^[A-Za-z0-9.!#$%&'*+/=?^_\`{|}~-]{1,64}@${label}(?:\\.${label})*$`,
  description: 'An e-mail address; kept in lower case.'
})

export const PersonName = NonBlankText({ maxLength: 120, description: 'What a person is called.' })
export const TenantName = NonBlankText({ maxLength: 120, description: 'What a tenant is called.' })
export const TenantId = Type.String({ pattern: '^[A-Za-z0-9_-]{1,64}$', description: 'A tenant.' })
export const RoleName = OpenWord(['owner', 'admin', 'member', 'viewer'], { description: 'What they are in the tenant: `owner`, `admin`, `member` or `viewer`.' })
export const StoredEmail = Type.String({ description: 'The e-mail address.' })
export const StoredName = Type.String({ description: 'The name.' })

const password = (minLength: number, description: string) =>
  Type.String({ minLength, maxLength: 200, pattern: '^[^\\u0000\\uD800-\\uDFFF]*$', description })

export const Password = password(1, 'The password of the account.')
export const NewPassword = password(8,
  'At least 8 characters; none that many have, none that is the name or the address, and none of the last 5.')
export const MailedToken = Type.String({ pattern: '^[A-Za-z0-9_-]{43}$', description: 'The token that was mailed.' })

const refreshToken = Type.String({
  minLength: 1, maxLength: 4096, pattern: '^[\\x21-\\x7E]+$', description: 'The refresh token of the last answer. Absent: that of the cookie.'
})

/** Whether the refresh token goes into a cookie. */
export const WantsCookie = Type.Optional(Type.Boolean({
  description: '`true`: the refresh token is set as a cookie that scripts cannot read, and `csrfToken` is answered instead.'
}))

const user = Type.Object({ id: Id, email: StoredEmail, name: StoredName, role: RoleName }, { description: 'Who that is.' })
const tenant = Type.Object({ id: Type.String({ description: 'The identifier.' }), name: StoredName }, { description: 'The tenant.' })

const exampleToken = 'q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA'
const exampleUser = { id: '6650a1f2c3d4e5f601234567', email: 'ada@example.org', name: 'Ada', role: 'owner' }
const exampleTenant = { id: '6650a1f2c3d4e5f601234568', name: 'Parcel desk' }

export const RegistrationInput = Type.Object({
  email: EmailAddress,
  password: NewPassword,
  name: PersonName,
  tenantName: Type.Optional(TenantName)
}, {
  ...closed,
  $id: 'RegistrationInput',
  description: 'An account to make, and the tenant that it will own; that is named after the person if not said.',
  examples: [{ email: 'ada@example.org', password: 'correct horse battery', name: 'Ada', tenantName: 'Parcel desk' }]
})
export type RegistrationInput = Static<typeof RegistrationInput>

export const Registered = Type.Object({ user, tenant }, {
  $id: 'Registered', description: 'An account that was made.', examples: [{ user: exampleUser, tenant: exampleTenant }]
})
export type Registered = Static<typeof Registered>

export const LoginInput = Type.Object({
  email: EmailAddress,
  password: Password,
  tenantId: Type.Optional(TenantId),
  cookie: WantsCookie
}, {
  ...closed,
  $id: 'LoginInput',
  description: 'Who wants to sign in, and to which tenant; the one they joined first if not said.',
  examples: [{ email: 'ada@example.org', password: 'correct horse battery' }]
})
export type LoginInput = Static<typeof LoginInput>

export const RefreshInput = Type.Object({ refreshToken: Type.Optional(refreshToken) }, {
  ...closed, $id: 'RefreshInput', description: 'A sign-in to go on with.', examples: [{}]
})

export const LogoutInput = Type.Object({ refreshToken: Type.Optional(refreshToken) }, {
  ...closed, $id: 'LogoutInput', description: 'A sign-in to end.', examples: [{}]
})

export const SignIn = Type.Object({
  token: Type.String({ description: 'The access token, for `Authorization: Bearer`.' }),
  expiresAt: Timestamp,
  refreshToken: Type.Optional(Type.String({
    description: 'Takes the next access token. Good for one use: shown again, it ends the sign-in. Absent where it is in the cookie.'
  })),
  csrfToken: Type.Optional(Type.String({
    description: 'With the cookie only: goes back in the header `X-CSRF-Token` whenever the cookie is used. Stays the same until the sign-in ends.'
  })),
  user,
  tenant
}, {
  $id: 'SignIn',
  description: 'Somebody who has signed in.',
  examples: [{ token: 'eyJ…', expiresAt: '2026-01-01T12:15:00.000Z', refreshToken: 'rt_…', user: exampleUser, tenant: exampleTenant }]
})

export const Profile = Type.Object({
  id: Id,
  email: StoredEmail,
  emailVerified: Type.Boolean({ description: 'Whether somebody has confirmed to read mail to it.' }),
  pendingEmail: Type.Union([Type.String(), Type.Null()], { description: 'The address that `email` becomes once it is confirmed.' }),
  name: StoredName,
  role: RoleName,
  tenant,
  hasPassword: Type.Boolean({ description: '`false`: the account is signed in to by a provider only.' }),
  createdAt: Timestamp
}, {
  $id: 'Profile',
  description: 'Your account, as seen from the tenant that you are signed in to.',
  examples: [{
    ...exampleUser, emailVerified: true, pendingEmail: null, tenant: exampleTenant, hasPassword: true, createdAt: '2026-01-01T12:00:00.000Z'
  }]
})
export type Profile = Static<typeof Profile>

export const ProfileInput = Type.Object({
  name: Type.Optional(PersonName),
  email: Type.Optional(EmailAddress),
  password: Type.Optional({ ...Password, description: 'The current password. Another address needs it.' })
}, {
  ...closed, $id: 'ProfileInput', description: 'What to change; absent members stay as they are.', examples: [{ name: 'Ada Lovelace' }]
})
export type ProfileInput = Static<typeof ProfileInput>

export const PasswordChange = Type.Object({ currentPassword: Password, newPassword: NewPassword }, {
  ...closed,
  $id: 'PasswordChange',
  description: 'Another password.',
  examples: [{ currentPassword: 'correct horse battery', newPassword: 'staple of another colour' }]
})

export const EmailVerification = Type.Object({ token: MailedToken }, {
  ...closed, $id: 'EmailVerification', description: 'Confirms an e-mail address.', examples: [{ token: exampleToken }]
})

export const PasswordResetRequest = Type.Object({ email: EmailAddress }, {
  ...closed, $id: 'PasswordResetRequest', description: 'Whose password is forgotten.', examples: [{ email: 'ada@example.org' }]
})

export const PasswordReset = Type.Object({ token: MailedToken, password: NewPassword }, {
  ...closed, $id: 'PasswordReset', description: 'A password instead of the one that is forgotten.', examples: [{ token: exampleToken, password: 'staple of another colour' }]
})

export const AccountTenants = Type.Object({
  data: Type.Array(Type.Object({
    id: Type.String({ description: 'The identifier.' }),
    name: StoredName,
    role: RoleName,
    status: OpenWord(['active', 'suspended'], { description: '`active` or `suspended`.' }),
    joinedAt: Timestamp
  }), { description: 'The one joined first first.' }),
  nextCursor: Type.Union([Type.String(), Type.Null()], { description: 'Always null: there is one page only.' })
}, {
  $id: 'AccountTenants',
  description: 'The tenants that you are a member of, the one joined first first; a hundred at most.',
  examples: [{ data: [{ ...exampleTenant, role: 'owner', status: 'active', joinedAt: '2026-01-01T12:00:00.000Z' }], nextCursor: null }]
})
export type AccountTenants = Static<typeof AccountTenants>
