import { Id, Timestamp, UserId } from './text.ts'
import { Long, OneOf, Type, closed, type Static } from './type.ts'

const MAX_ROWS = 1000

export const UsageQuery = Type.Object({
  from: Type.Optional({ ...Timestamp, description: 'From this moment on; if left out, from the beginning of the month of `to`, in UTC.' }),
  to: Type.Optional({ ...Timestamp, description: 'Up to this moment, which is left out; at most 366 days after `from`. If left out: now.' }),
  groupBy: Type.Optional(Type.String({
    pattern: '^(day|config|user|key|model)(,(day|config|user|key|model)){0,4}$',
    description: 'What the rows are told apart by, comma-separated: `day`, `config`, `user`, `key`, `model`. If left out, there is one row.'
  })),
  configId: Type.Optional(Id),
  userId: Type.Optional(UserId),
  keyId: Type.Optional(Type.String({ minLength: 1, maxLength: 64, pattern: '^[0-9A-Za-z_-]+$', description: 'An API key, by its id.' })),
  model: Type.Optional(Type.String({ minLength: 1, maxLength: 100, pattern: '^[\\x21-\\x7E]+$', description: 'The model, as it calls itself.' })),
  limit: Type.Integer({ minimum: 1, maximum: MAX_ROWS, default: 100, description: 'How many rows at most.' }),
  cursor: Type.Optional(Type.String({ maxLength: 200, description: '`nextCursor` of the page before.' }))
}, closed)
export type UsageQuery = Static<typeof UsageQuery>

const count = (description: string) => Long({ minimum: 0, description })
const nullable = (description: string) => Type.Union([Type.String(), Type.Null()], { description })

const UsageRow = Type.Object({
  day: Type.Optional(Type.String({ format: 'date', description: 'In UTC.' })),
  configId: Type.Optional(nullable('Null: for no configuration in particular.')),
  userId: Type.Optional(nullable('Null: for no end user in particular, or for one of whom nothing is kept any more.')),
  keyId: Type.Optional(nullable('Null: not by an API key.')),
  model: Type.Optional(Type.String({ description: 'As it calls itself.' })),
  messages: count('Replies that a model was called for.'),
  promptTokens: count('What the models read.'),
  completionTokens: count('What the models wrote.'),
  cachedTokens: count('The part of `promptTokens` that was billed at the rate for what is cached.'),
  totalTokens: count('`promptTokens` and `completionTokens` together.'),
  costUsd: Type.Number({ minimum: 0, description: 'By list price; models whose price is not known add nothing.' })
})

export const Usage = Type.Object({
  from: Timestamp,
  to: Timestamp,
  groupBy: Type.Array(OneOf(['day', 'config', 'user', 'key', 'model'], { description: 'What the rows are told apart by.' }), {
    description: 'As it was asked for.'
  }),
  data: Type.Array(UsageRow, { description: 'The rows.' }),
  nextCursor: Type.Union([Type.String(), Type.Null()], { description: 'Ask for the next page with it; null on the last page.' })
}, {
  $id: 'Usage',
  description: 'What models were used for: replies, titles, summaries and drafts, failed attempts included.',
  examples: [{
    from: '2026-03-01T00:00:00.000Z',
    to: '2026-03-02T00:00:00.000Z',
    groupBy: ['day'],
    data: [{
      day: '2026-03-01', messages: 120, promptTokens: 54_000, completionTokens: 9100, cachedTokens: 31_000, totalTokens: 63_100, costUsd: 0.013
    }],
    nextCursor: null
  }]
})
export type Usage = Static<typeof Usage>
