import { NonBlankText, Text, Timestamp } from './text.ts'
import { OpenWord, Type, closed, type Static } from './type.ts'

const MAX_VISITOR_SECONDS = 86_400

export const TokenRequest = Type.Object({
  grant_type: Type.Literal('client_credentials', { description: 'The one kind of grant there is here.' }),
  scope: Type.Optional(Type.String({
    maxLength: 1000, pattern: '^[a-z:]*( [a-z:]+)*$', description: 'Scopes of the key, separated by spaces. Absent: all of them.'
  })),
  client_id: Type.Optional(Text({ maxLength: 60, description: 'The `id` or the `prefix` of the key, where you give one.' })),
  client_secret: Type.Optional(Text({ maxLength: 60, description: 'The key, where no header has it.' }))
}, {
  ...closed,
  $id: 'TokenRequest',
  description: 'A request for a token by client credentials (RFC 6749, section 4.4).',
  examples: [{ grant_type: 'client_credentials', scope: 'sessions:read sessions:write' }]
})
export type TokenRequest = Static<typeof TokenRequest>

export const GrantedToken = Type.Object({
  access_token: Type.String({ description: 'A JWT.' }),
  token_type: Type.Literal('Bearer', { description: 'How it is shown.' }),
  expires_in: Type.Integer({ minimum: 0, description: 'Seconds.' }),
  scope: Type.String({ description: 'What it covers, separated by spaces.' })
}, {
  $id: 'GrantedToken',
  description: 'An access token, as OAuth 2 answers it.',
  examples: [{ access_token: 'eyJ…', token_type: 'Bearer', expires_in: 900, scope: 'sessions:read sessions:write' }]
})
export type GrantedToken = Static<typeof GrantedToken>

export const VisitorTokenInput = Type.Object({
  configId: Type.String({ pattern: '^[0-9a-f]{24}$', description: 'The one chatbot that the visitor may talk to.' }),
  visitorId: NonBlankText({ maxLength: 160, description: 'The visitor, as your own system names them. The same id finds the same sessions.' }),
  origin: Type.Optional(Type.String({
    maxLength: 300, pattern: '^https?://[^/?#@\\s,]+$', description: 'Where the page is, such as `https://shop.example`. Requests from elsewhere are refused.'
  })),
  ttlSeconds: Type.Optional(Type.Integer({
    minimum: 60, maximum: MAX_VISITOR_SECONDS, default: 3600, description: 'How long the token lasts. Absent: an hour.'
  }))
}, {
  ...closed,
  $id: 'VisitorTokenInput',
  description: 'Whom a token is for.',
  examples: [{ configId: '6650a1f2c3d4e5f601234567', visitorId: 'customer-17', origin: 'https://shop.example' }]
})
export type VisitorTokenInput = Static<typeof VisitorTokenInput>

export const VisitorToken = Type.Object({
  token: Type.String({ description: 'A JWT for the browser of the visitor.' }),
  expiresAt: Timestamp,
  userId: Type.String({ description: 'The user that the sessions of the visitor belong to.' })
}, {
  $id: 'VisitorToken',
  description: 'A token of a visitor.',
  examples: [{ token: 'eyJ…', expiresAt: '2026-01-01T13:00:00.000Z', userId: 'visitor:6650a1f2c3d4e5f601234567:customer-17' }]
})
export type VisitorToken = Static<typeof VisitorToken>

const member = (description: string) => Type.Optional(Type.String({ description }))

export const PublishedKeys = Type.Object({
  keys: Type.Array(Type.Object({
    kid: Type.String({ description: 'Names the key.' }),
    kty: OpenWord(['EC', 'RSA', 'OKP'], { description: 'The kind of key.' }),
    alg: OpenWord(['ES256', 'RS256', 'EdDSA'], { description: 'What it signs by.' }),
    use: Type.String({ description: '`sig`: it signs.' }),
    crv: member('The curve.'),
    n: member('The modulus of an RSA key.'),
    e: member('The exponent of an RSA key.'),
    x: member('The x coordinate of a point.'),
    y: member('The y coordinate of a point.')
  }), { description: 'The first one signs.' })
}, {
  $id: 'PublishedKeys',
  description: 'A JSON Web Key Set (RFC 7517).',
  examples: [{ keys: [{ kid: 'k1', kty: 'EC', alg: 'ES256', use: 'sig', crv: 'P-256', x: '…', y: '…' }] }]
})
