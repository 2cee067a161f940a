import { Metadata, NonBlankText } from './text.ts'
import { OneOf, Type, type Static } from './type.ts'

// What OpenAI's Assistants API told of threads, as far as it is read. The records are open: there was more.
const threadId = NonBlankText({ maxLength: 200, description: 'The thread.' })
const createdAt = Type.Integer({ minimum: 0, maximum: 100_000_000_000, description: 'In seconds since 1970.' })
const metadata = Type.Optional(Type.Union([Metadata, Type.Null()]))

export const ThreadRecord = Type.Object({
  object: Type.Literal('thread'),
  id: threadId,
  created_at: createdAt,
  metadata
})
export type ThreadRecord = Static<typeof ThreadRecord>

export const ThreadMessageRecord = Type.Object({
  object: Type.Literal('thread.message'),
  id: NonBlankText({ maxLength: 200, description: 'The message.' }),
  thread_id: threadId,
  created_at: createdAt,
  role: OneOf(['user', 'assistant'], { description: 'Who said it.' }),
  status: Type.Optional(Type.Union([Type.String(), Type.Null()])),
  content: Type.Array(Type.Object({
    type: Type.String(),
    text: Type.Optional(Type.Object({ value: Type.String({ pattern: '^[^\\u0000\\uD800-\\uDFFF]*$' }) }))
  }), { maxItems: 1000 }),
  metadata
})
export type ThreadMessageRecord = Static<typeof ThreadMessageRecord>
