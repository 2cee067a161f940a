import { Usage } from './message.ts'
import { Timestamp } from './text.ts'
import { OpenWord, Type, type Static } from './type.ts'

export const Summary = Type.Object({
  text: Type.String({ description: 'What was said, in short.' }),
  throughSeq: Type.Integer({ minimum: 1, description: 'The last message that it covers, by `seq`.' }),
  messageCount: Type.Integer({ minimum: 1, description: 'How many messages it covers.' }),
  source: OpenWord(['model', 'rules'], { description: 'Who wrote it: `model`, or `rules` where there is no model.' }),
  model: Type.Union([Type.String(), Type.Null()], {
    description: 'The model that wrote it, as it names itself. Null: made by rules.'
  }),
  usage: Type.Optional(Usage),
  createdAt: Timestamp
}, {
  $id: 'Summary',
  description: 'The active branch of a session in short.',
  examples: [{
    text: 'The customer asks for parcel 4711, which was sent on Monday. They will be called back on Friday.',
    throughSeq: 24,
    messageCount: 24,
    source: 'model',
    model: 'mistral-small-latest',
    usage: { promptTokens: 930, completionTokens: 61, totalTokens: 991, costUsd: 0.0001761 },
    createdAt: '2026-01-01T12:00:00.000Z'
  }]
})
export type Summary = Static<typeof Summary>
