import { Page } from './page.ts'
import { Id, Timestamp, UserId } from './text.ts'
import { OpenWord, Type, type Static } from './type.ts'

export const EndUserPath = Type.Object({ userId: UserId })

export const Erasure = Type.Object({
  id: Id,
  status: OpenWord(['running', 'completed'], { description: '`running` or `completed`.' }),
  subject: Type.String({
    pattern: '^[0-9a-f]{64}$',
    description: 'Whose data it was, without saying who: SHA-256 in hexadecimal of `["<tenant>","<userId>"]`, as JSON.'
  }),
  removed: Type.Object({
    sessions: Type.Integer({ minimum: 0, description: 'Conversations.' }),
    messages: Type.Integer({ minimum: 0, description: 'Of both sides, on all branches.' })
  }, { description: 'What has been removed so far.' }),
  requestedAt: Timestamp,
  completedAt: Type.Union([Timestamp, Type.Null()], { description: 'Null while it is running.' })
}, {
  $id: 'Erasure',
  description: 'The receipt for the erasure of an end user. It stays, and does not name them.',
  examples: [{
    id: '6650a1f2c3d4e5f601234567',
    status: 'completed',
    subject: '5f0c8dcb3c5b7ee2c3d3b5f5ad3b4f6f8bb1b4ed3d0a7b4b9d0c1d4fd0b4a111',
    removed: { sessions: 3, messages: 48 },
    requestedAt: '2026-03-01T09:30:00.000Z',
    completedAt: '2026-03-01T09:30:00.240Z'
  }]
})
export type Erasure = Static<typeof Erasure>

export const ErasurePage = Page('ErasurePage', Erasure)
