import { Page } from './page.ts'
import { Channel, Id, NonBlankText, Timestamp } from './text.ts'
import { OneOf, OpenWord, OrNull, Type, closed, type Static } from './type.ts'

/** How senders sign. */
export const signatureSchemes = ['standard', 'github', 'stripe', 'slack', 'hmac'] as const
export type SignatureScheme = typeof signatureSchemes[number]

const MAX_OVERLAP_SECONDS = 7 * 86_400

const pointer = (description: string) => Type.String({ maxLength: 500, pattern: '^(/([^~/\\u0000\\uD800-\\uDFFF]|~[01])*)+$', description: `JSON Pointer (RFC 6901) to ${description}` })

const mapping = Type.Object({
  text: pointer('what the user says, a text. A body without it is answered as `ignored`.'),
  externalUserId: pointer('who says it, a text or a number. A body without it is answered as `ignored`.'),
  channel: Type.Optional(pointer('the channel. Absent, or where it finds nothing: the `channel` of the integration.')),
  externalMessageId: Type.Optional(pointer('what the sender calls the message, a text or a number.')),
  deliveryId: Type.Optional(pointer('what tells deliveries apart, a text or a number, in place of what the scheme has for it.')),
  metadata: Type.Optional(pointer('data to keep with the message, an object of at most 4 KiB. Anything else is left out.'))
}, { ...closed, description: 'Where in the bodies of this sender things are.' })

const hmac = Type.Object({
  header: Type.Optional(Type.String({
    maxLength: 100, pattern: '^[A-Za-z0-9-]+$', default: 'x-signature', description: 'The header that the signature is in. Absent: `x-signature`.'
  })),
  encoding: Type.Optional(OneOf(['hex', 'base64'], { default: 'hex', description: 'How its 32 bytes are written, hexadecimal in lower case. Absent: `hex`.' })),
  prefix: Type.Optional(Type.String({ maxLength: 50, pattern: '^[\\x21-\\x7E]*$', default: '', description: 'What stands before it, such as `sha256=`. Absent: nothing.' }))
}, { ...closed, description: 'Of the scheme `hmac` only: where the HMAC-SHA256 of the body is.' })

const secret = Type.String({
  minLength: 16,
  maxLength: 256,
  pattern: '^[\\x21-\\x7E]+$',
  description: 'The secret that the sender signs with, 16 to 256 printable characters; of the scheme `standard` 24 to 64 bytes in base64, with or ' +
    'without `whsec_` before it. Absent: one is made.'
})

const verifyToken = Type.String({
  minLength: 8, maxLength: 200, pattern: '^[\\x21-\\x7E]+$', description: 'What Meta is to send when it verifies the address (`hub.verify_token`).'
})

const idle = Type.Integer({
  minimum: 1, maximum: 525_600, default: 1440, description: 'Minutes without a message after which the same user begins another session. Absent: 1440, a day.'
})

const name = NonBlankText({ maxLength: 120, description: 'What the integration is for.' })
const configId = Type.String({ pattern: '^[0-9a-f]{24}$', description: 'The configuration whose chatbot answers.' })
const scheme = OneOf(signatureSchemes, {
  default: 'standard',
  description: 'How the sender signs: `standard` (Standard Webhooks), `github` (also Meta), `stripe`, `slack`, or `hmac`, a plain HMAC-SHA256 of the body. Absent: `standard`.'
})
const enabled = Type.Boolean({ default: true, description: 'Whether messages are taken. Absent: they are.' })
const channel = { ...Channel, default: 'webhook', description: 'Where the messages come from, where the body does not say. Absent: `webhook`.' }

export const IntegrationInput = Type.Object({
  name,
  configId,
  scheme: Type.Optional(scheme),
  hmac: Type.Optional(hmac),
  secret: Type.Optional(secret),
  verifyToken: Type.Optional(verifyToken),
  enabled: Type.Optional(enabled),
  channel: Type.Optional(channel),
  mapping: Type.Optional(mapping),
  sessionIdleMinutes: Type.Optional(idle)
}, {
  ...closed,
  $id: 'IntegrationInput',
  description: 'A sender of webhooks whose messages a chatbot is to answer.',
  examples: [{ name: 'Help desk', configId: '6650a1f2c3d4e5f601234567', scheme: 'standard' }]
})
export type IntegrationInput = Static<typeof IntegrationInput>

export const IntegrationPatch = Type.Object({
  name: Type.Optional(name),
  configId: Type.Optional(configId),
  hmac: Type.Optional(hmac),
  verifyToken: Type.Optional(OrNull(verifyToken, 'What Meta is to send when it verifies the address. Null: it is not verified that way.')),
  enabled: Type.Optional(enabled),
  channel: Type.Optional(channel),
  mapping: Type.Optional(OrNull(mapping, 'Null: bodies are as `WebhookMessage` says.')),
  sessionIdleMinutes: Type.Optional(idle)
}, {
  ...closed,
  $id: 'IntegrationPatch',
  description: 'What to change; absent members stay as they are. The scheme stays; the secret is changed by a rotation.',
  examples: [{ enabled: false }]
})
export type IntegrationPatch = Static<typeof IntegrationPatch>

const shown = {
  id: Id,
  name: Type.String({ description: 'What the integration is for.' }),
  configId: Type.String({ description: 'The configuration whose chatbot answers.' }),
  url: Type.String({ description: 'The path that the sender is to post to, on this server.' }),
  scheme: OpenWord(signatureSchemes, { description: 'How the sender signs.' }),
  hmac: OrNull(Type.Object({
    header: Type.String({ description: 'The header that the signature is in.' }),
    encoding: OpenWord(['hex', 'base64'], { description: '`hex` or `base64`.' }),
    prefix: Type.String({ description: 'What stands before it.' })
  }), 'Of the scheme `hmac`: where the signature is. Null: another scheme.'),
  hasVerifyToken: Type.Boolean({ description: 'Whether there is a token for Meta\'s verification of the address.' }),
  enabled: Type.Boolean({ description: 'Whether messages are taken.' }),
  channel: Type.String({ description: 'Where the messages come from, where the body does not say.' }),
  mapping: OrNull(Type.Object({
    text: Type.String({ description: 'Pointer to what the user says.' }),
    externalUserId: Type.String({ description: 'Pointer to who says it.' }),
    channel: Type.Optional(Type.String({ description: 'Pointer to the channel.' })),
    externalMessageId: Type.Optional(Type.String({ description: 'Pointer to what the sender calls the message.' })),
    deliveryId: Type.Optional(Type.String({ description: 'Pointer to what tells deliveries apart.' })),
    metadata: Type.Optional(Type.String({ description: 'Pointer to data to keep with the message.' }))
  }), 'Where in the bodies of this sender things are. Null: they are as `WebhookMessage` says.'),
  sessionIdleMinutes: Type.Integer({ description: 'Minutes without a message after which the same user begins another session.' }),
  previousSecretUntil: OrNull(Timestamp, 'Until when the secret before the present one counts, too. Null: there is none that does.'),
  createdAt: Timestamp,
  updatedAt: Timestamp
}

const example = {
  id: '6650a1f2c3d4e5f60123456d',
  name: 'Help desk',
  configId: '6650a1f2c3d4e5f601234567',
  url: '/api/webhook/6650a1f2c3d4e5f60123456d',
  scheme: 'standard',
  hmac: null,
  hasVerifyToken: false,
  enabled: true,
  channel: 'webhook',
  mapping: null,
  sessionIdleMinutes: 1440,
  previousSecretUntil: null,
  createdAt: '2026-03-01T09:30:00.000Z',
  updatedAt: '2026-03-01T09:30:00.000Z'
}

export const Integration = Type.Object(shown, { $id: 'Integration', description: 'An integration, without its secrets.', examples: [example] })
export type Integration = Static<typeof Integration>

export const IssuedIntegration = Type.Object({
  ...shown,
  secret: Type.String({ description: 'The secret that the sender signs with. It is shown this once and kept encrypted.' })
}, {
  $id: 'IssuedIntegration',
  description: 'An integration with its secret.',
  examples: [{ ...example, secret: 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLBARz8l1KJ3gxt4=' }]
})
export type IssuedIntegration = Static<typeof IssuedIntegration>

export const IntegrationPage = Page('IntegrationPage', Integration)

export const IntegrationRotation = Type.Object({
  secret: Type.Optional(secret),
  overlapSeconds: Type.Optional(Type.Integer({
    minimum: 0, maximum: MAX_OVERLAP_SECONDS, default: 86_400, description: 'Seconds for which the old secret counts, too; 0 ends it at once. Absent: a day.'
  }))
}, { ...closed, $id: 'IntegrationRotation', description: 'How to give an integration another secret.', examples: [{ overlapSeconds: 3600 }] })
export type IntegrationRotation = Static<typeof IntegrationRotation>
