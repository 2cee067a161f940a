import { settings } from './chatbot-settings.ts'
import { ErrorCode } from './error-code.ts'
import { Usage } from './message.ts'
import { Page } from './page.ts'
import { Id, NonBlankText, Timestamp } from './text.ts'
import { OpenWord, Ref, Type, closed, type Static } from './type.ts'

const { name, purpose, domain, tone, instructions } = settings
const brief = NonBlankText({ maxLength: 20_000, description: 'What the bot is to be, in plain words.' })
const exampleBrief = 'A friendly bot for our parcel customers. It answers questions about delivery and returns. ' +
  'Returns are free for 30 days.'

const exampleDraft = {
  name: 'Parcel desk',
  purpose: 'Answer questions of parcel customers about delivery times and returns.',
  domain: ['delivery', 'returns'],
  tone: { style: 'friendly', language: 'en' },
  instructions: 'Returns are free for 30 days.'
}

export const SpecificationInput = Type.Object({
  brief,
  language: Type.Optional(NonBlankText({
    maxLength: 60,
    description: 'What the bot speaks: a BCP 47 tag, or the English name of a language. Default: that of the brief.'
  }))
}, {
  ...closed,
  $id: 'SpecificationInput',
  description: 'A brief that a configuration is to be drafted from.',
  examples: [{ brief: exampleBrief, language: 'en' }]
})
export type SpecificationInput = Static<typeof SpecificationInput>

/** What is drafted: members of a configuration, within the limits of a configuration. */
export const Draft = Type.Object({ name, purpose, domain, tone, instructions }, {
  ...closed,
  $id: 'SpecificationDraft',
  description: 'A draft of a configuration; with anything you change in it, the body of `POST /api/configs`.',
  examples: [exampleDraft]
})
export type Draft = Static<typeof Draft>

export const Specification = Type.Object({
  id: Id,
  brief: Type.String({ description: 'As it was posted.' }),
  language: Type.String({ description: 'A BCP 47 tag: what was asked for, else what the brief seems to be in.' }),
  status: OpenWord(['drafted', 'failed', 'pending'], {
    description: '`drafted`, `failed`, or `pending`: being drafted, or cut off as its server went down.'
  }),
  draft: Type.Union([Ref(Draft), Type.Null()], { description: 'Null while there is none.' }),
  source: Type.Optional(OpenWord(['model', 'rules'], { description: 'Who drafted it: `model`, or `rules` where there is no model.' })),
  model: Type.Optional(Type.String({ description: 'The model that drafted it, as it names itself.' })),
  usage: Type.Optional(Usage),
  error: Type.Optional(Type.Object({
    code: ErrorCode,
    detail: Type.String({ description: 'What went wrong, for people.' })
  }, { description: 'Why the last attempt failed.' })),
  createdAt: Timestamp
}, {
  $id: 'Specification',
  description: 'A brief, and the configuration that was drafted from it.',
  examples: [{
    id: '6650a1f2c3d4e5f601234567',
    brief: exampleBrief,
    language: 'en',
    status: 'drafted',
    draft: exampleDraft,
    source: 'model',
    model: 'mistral-small-latest',
    usage: { promptTokens: 412, completionTokens: 96, totalTokens: 508, costUsd: 0.0001194 },
    createdAt: '2026-01-01T12:00:00.000Z'
  }]
})
export type Specification = Static<typeof Specification>

export const SpecificationPage = Page('SpecificationPage', Specification)
