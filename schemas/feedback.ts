import { feedback } from './examples.ts'
import { pageQuery } from './page.ts'
import { Text, Timestamp, UserId } from './text.ts'
import { OneOf, OpenWord, Type, closed, type Static } from './type.ts'

const rating = { description: '`up` or `down`.' }
const comment = Text({ maxLength: 2000, description: 'In the reader\'s own words.' })
const tags = Type.Array(Text({ minLength: 1, maxLength: 60, description: 'A label of your own, such as `wrong` or `too-long`.' }), {
  maxItems: 20, description: 'Labels of your own.'
})

export const FeedbackInput = Type.Object({
  rating: OneOf(['up', 'down'], rating),
  comment: Type.Optional(comment),
  tags: Type.Optional(tags)
}, {
  ...closed,
  $id: 'FeedbackInput',
  description: 'What a reader thought of a reply.',
  examples: [{ rating: 'down', comment: 'Returns are free for 30 days, not 14.', tags: ['wrong'] }]
})
export type FeedbackInput = Static<typeof FeedbackInput>

export const Feedback = Type.Object({
  rating: OpenWord(['up', 'down'], rating),
  comment: Type.Optional(Type.String({ description: 'In the reader\'s own words.' })),
  tags: Type.Array(Type.String(), { description: 'Labels of your own.' }),
  at: Timestamp
}, { $id: 'Feedback', description: 'What a reader thought of a reply.', examples: [feedback] })
export type Feedback = Static<typeof Feedback>

const time = (description: string) => Type.Optional(Type.String({ format: 'date-time', description }))

export const FeedbackQuery = Type.Object({
  ...pageQuery,
  configId: Type.Optional(Type.String({ pattern: '^[0-9a-f]{24}$', description: 'Only replies of this chatbot.' })),
  userId: Type.Optional(UserId),
  rating: Type.Optional(OneOf(['up', 'down'], rating)),
  from: time('Only ratings of this time or later.'),
  to: time('Only ratings before this time.')
}, closed)
export type FeedbackQuery = Static<typeof FeedbackQuery>
