import { Page } from './page.ts'
import { Channel, Id, NonBlankText, Text, Timestamp } from './text.ts'
import { OneOf, Type, closed, type Static } from './type.ts'

const Label = NonBlankText({ maxLength: 120, description: 'A short label.' })

const style = Text({ maxLength: 200, description: 'How the bot sounds, such as `friendly` or `formal, brief`.' })
const language = NonBlankText({
  maxLength: 60,
  description: 'A BCP 47 tag such as `de` or `pt-BR`, or the English name of a language, which is stored as its tag.'
})
const modelName = NonBlankText({ maxLength: 120, description: 'A model of the provider. Absent: the one this server is set to.' })
const temperature = Type.Number({ minimum: 0, maximum: 1.5, description: 'Sampling temperature.' })
const maxTokens = Type.Integer({ minimum: 1, maximum: 8192, description: 'The longest reply, in tokens.' })

const purpose = NonBlankText({ maxLength: 2000, description: 'What the bot is for.' })
const name = NonBlankText({ maxLength: 120, description: 'Shown to people. Default: the start of `purpose`.' })
const domain = Type.Array(Label, { maxItems: 20, description: 'What the bot knows about.' })
const channels = Type.Array(Channel, {
  maxItems: 20,
  description: 'Where sessions may come from. Empty: from anywhere; else a session on another channel is refused.'
})
const integrations = Type.Array(Label, { maxItems: 20, description: 'Labels of the systems this bot works with.' })
const instructions = Text({ maxLength: 20_000, description: 'What the bot must know and do. The offline provider answers from it.' })
const fallbackMeaning = 'Who answers while the model is away: `offline`, the offline provider, or `none`.'
const fallback = OneOf(['none', 'offline'], { description: fallbackMeaning })
const historyLimit = Type.Integer({ minimum: 1, maximum: 100, description: 'How many earlier messages the model is given.' })

const input = {
  purpose,
  name: Type.Optional(name),
  domain: Type.Optional(domain),
  tone: Type.Optional(Type.Object({ style: Type.Optional(style), language: Type.Optional(language) }, closed)),
  channels: Type.Optional(channels),
  integrations: Type.Optional(integrations),
  instructions: Type.Optional(instructions),
  model: Type.Optional(Type.Object({
    name: Type.Optional(modelName),
    temperature: Type.Optional(temperature),
    maxTokens: Type.Optional(maxTokens)
  }, closed)),
  fallback: Type.Optional(fallback),
  historyLimit: Type.Optional(historyLimit)
}

const examples = [{
  name: 'Shipping desk',
  purpose: 'Answer questions about orders and delivery.',
  domain: ['shipping', 'returns'],
  tone: { style: 'friendly', language: 'en' },
  instructions: 'Orders ship within two days. Returns are free for 30 days.'
}]

export const ChatbotConfigInput = Type.Object(input, {
  ...closed, $id: 'ChatbotConfigInput', description: 'What you say of a chatbot. Only `purpose` is required.', examples
})
export type ChatbotConfigInput = Static<typeof ChatbotConfigInput>

const readOnly = (what: string) => Type.Optional(Type.Unknown({ description: `Ignored: ${what} is the server's to say.` }))

export const ChatbotConfigReplacement = Type.Object({
  ...input,
  id: readOnly('it'),
  version: readOnly('it'),
  createdAt: readOnly('it'),
  updatedAt: readOnly('it')
}, {
  ...closed,
  $id: 'ChatbotConfigReplacement',
  description: 'As `ChatbotConfigInput`; the read-only members of an earlier GET may stay in it and are ignored.',
  examples
})

const nullable = <T extends Parameters<typeof Type.Union>[0][number]>(schema: T) => Type.Optional(Type.Union([schema, Type.Null()]))

export const ChatbotConfigPatch = Type.Object({
  purpose: Type.Optional(purpose),
  name: nullable(name),
  domain: nullable(domain),
  tone: nullable(Type.Object({ style: nullable(style), language: nullable(language) }, closed)),
  channels: nullable(channels),
  integrations: nullable(integrations),
  instructions: nullable(instructions),
  model: nullable(Type.Object({
    name: nullable(modelName), temperature: nullable(temperature), maxTokens: nullable(maxTokens)
  }, closed)),
  fallback: nullable(fallback),
  historyLimit: nullable(historyLimit)
}, {
  ...closed,
  $id: 'ChatbotConfigPatch',
  description: 'A JSON merge patch (RFC 7396): absent members stay as they are, null puts a member back to its default.',
  examples: [{ instructions: 'Orders ship within one day.' }]
})
export type ChatbotConfigPatch = Static<typeof ChatbotConfigPatch>

export const ChatbotConfig = Type.Object({
  id: Id,
  name,
  purpose,
  domain,
  tone: Type.Object({ style, language: Type.String({ description: 'A BCP 47 tag.' }) }),
  channels,
  integrations,
  instructions,
  model: Type.Object({
    name: Type.Optional(modelName), temperature: Type.Optional(temperature), maxTokens: Type.Optional(maxTokens)
  }),
  fallback: Type.String({ description: `${fallbackMeaning} Open to growth.` }),
  historyLimit,
  version: Type.Integer({ minimum: 1, description: 'Counts the changes; the ETag is this number in quotes.' }),
  createdAt: Timestamp,
  updatedAt: Timestamp
}, { $id: 'ChatbotConfig', description: 'A chatbot as it is configured.' })
export type ChatbotConfig = Static<typeof ChatbotConfig>

export const ChatbotConfigPage = Page('ChatbotConfigPage', ChatbotConfig)
