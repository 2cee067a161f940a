import { Message } from './message.ts'
import { NonBlankText, UserId } from './text.ts'
import { Ref, Type, closed, type Static } from './type.ts'

const time = (description: string) => Type.Optional(Type.String({ format: 'date-time', description }))
const offset = (description: string) => Type.Integer({ minimum: 0, description })

export const SearchQuery = Type.Object({
  q: NonBlankText({
    maxLength: 500,
    description: 'The words to look for, in any language. A message is found by any of them; the first 24 different ones count.'
  }),
  configId: Type.Optional(Type.String({ pattern: '^[0-9a-f]{24}$', description: 'Only conversations with this chatbot.' })),
  userId: Type.Optional(UserId),
  from: time('Only messages of this time or later.'),
  to: time('Only messages before this time.'),
  limit: Type.Integer({ minimum: 1, maximum: 50, default: 10, description: 'How many at most.' }),
  cursor: Type.Optional(Type.String({ maxLength: 200, description: '`nextCursor` of the page before.' }))
}, closed)
export type SearchQuery = Static<typeof SearchQuery>

export const SearchHit = Type.Object({
  message: Ref(Message),
  score: Type.Number({ description: 'How well it matches: comparable within one search only.' }),
  snippet: Type.String({
    description: 'The part of the text with the most of the words, as plain text: escape it where you show it as HTML.'
  }),
  highlights: Type.Array(Type.Object({
    start: offset('The first UTF-16 code unit.'),
    end: offset('The one after the last.')
  }), { description: 'Where in the snippet the words stand, in ascending order.' })
}, { $id: 'SearchHit', description: 'A message found.' })

export const SearchPage = Type.Object({
  data: Type.Array(Ref(SearchHit), { description: 'The best match first; of equal ones the newest.' }),
  nextCursor: Type.Union([Type.String(), Type.Null()], {
    description: 'Ask for the next page with it; null on the last page, which is at the thousandth match at the latest.'
  })
}, {
  $id: 'SearchPage',
  description: 'A page of the messages found.',
  examples: [{
    data: [{
      message: {
        id: '6650f1c2a4d3b2e1f0a9b8c7',
        sessionId: '6650f1bfa4d3b2e1f0a9b8c1',
        seq: 1,
        parentId: null,
        branchId: '6650f1bfa4d3b2e1f0a9b8c1',
        role: 'user',
        content: 'Can I send the order back?',
        timestamp: '2026-05-24T20:00:00.000Z',
        status: 'completed'
      },
      score: 4.1327,
      snippet: 'Can I send the order back?',
      highlights: [{ start: 15, end: 20 }]
    }],
    nextCursor: null
  }]
})
export type SearchPage = Static<typeof SearchPage>
