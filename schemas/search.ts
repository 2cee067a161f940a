import { userMessage } from './examples.ts'
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

const example = { message: userMessage, score: 4.1327, snippet: userMessage.content, highlights: [{ start: 13, end: 18 }] }

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
}, { $id: 'SearchHit', description: 'A message found.', examples: [example] })

export const SearchPage = Type.Object({
  data: Type.Array(Ref(SearchHit), { description: 'The best match first; of equal ones the newest.' }),
  nextCursor: Type.Union([Type.String(), Type.Null()], {
    description: 'Ask for the next page with it; null on the last page, which is at the thousandth match at the latest.'
  })
}, {
  $id: 'SearchPage',
  description: 'A page of the messages found.',
  examples: [{ data: [example], nextCursor: null }]
})
export type SearchPage = Static<typeof SearchPage>
