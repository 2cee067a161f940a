import { settings as example } from './examples.ts'
import { Channel, NonBlankText, Text } from './text.ts'
import { OneOf, OpenWord, OrNull, Type, closed, type Static, type TSchema } from './type.ts'

const Label = NonBlankText({ maxLength: 120, description: 'A short label.' })

const style = Text({ maxLength: 200, description: 'How the bot sounds, such as `friendly` or `formal, brief`.' })
const language = NonBlankText({
  maxLength: 60,
  description: 'A BCP 47 tag such as `de` or `pt-BR`, or the English name of a language, which is stored as its tag.'
})
const modelName = NonBlankText({ maxLength: 120, description: 'A model of the provider. Absent: the one this server is set to.' })
const temperature = Type.Number({ minimum: 0, maximum: 1.5, description: 'Sampling temperature.' })
const maxTokens = Type.Integer({ minimum: 1, maximum: 8192, description: 'The longest reply, in tokens.' })

const toneMeaning = { description: 'How the bot speaks.' }
const modelMeaning = { description: 'Which model writes the replies, and how.' }

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
const titles = Type.Boolean({ description: 'Whether a session without a title gets one from its first exchange. Default: true.' })
const summaries = Type.Boolean({
  description: 'Whether a rolling summary stands in for the messages that `historyLimit` leaves out. Default: true.'
})

/** What may be absent or null. */
export const nullable = <T extends TSchema>(schema: T) => Type.Optional(OrNull(schema))

/** The settings as they are written; what is absent gets its default. */
export const settingsInput = {
  purpose,
  name: Type.Optional(name),
  domain: Type.Optional(domain),
  tone: Type.Optional(Type.Object({ style: Type.Optional(style), language: Type.Optional(language) }, { ...closed, ...toneMeaning })),
  channels: Type.Optional(channels),
  integrations: Type.Optional(integrations),
  instructions: Type.Optional(instructions),
  model: Type.Optional(Type.Object({
    name: Type.Optional(modelName),
    temperature: Type.Optional(temperature),
    maxTokens: Type.Optional(maxTokens)
  }, { ...closed, ...modelMeaning })),
  fallback: Type.Optional(fallback),
  historyLimit: Type.Optional(historyLimit),
  titles: Type.Optional(titles),
  summaries: Type.Optional(summaries)
}

export const ChatbotSettingsInput = Type.Object(settingsInput, { ...closed, description: 'Settings; only `purpose` is required.' })
export type ChatbotSettingsInput = Static<typeof ChatbotSettingsInput>

/** The settings as a merge patch: null puts one back to its default. */
export const settingsPatch = {
  purpose: Type.Optional(purpose),
  name: nullable(name),
  domain: nullable(domain),
  tone: nullable(Type.Object({ style: nullable(style), language: nullable(language) }, { ...closed, ...toneMeaning })),
  channels: nullable(channels),
  integrations: nullable(integrations),
  instructions: nullable(instructions),
  model: nullable(Type.Object({
    name: nullable(modelName), temperature: nullable(temperature), maxTokens: nullable(maxTokens)
  }, { ...closed, ...modelMeaning })),
  fallback: nullable(fallback),
  historyLimit: nullable(historyLimit),
  titles: nullable(titles),
  summaries: nullable(summaries)
}

/** The settings as they are kept, every default filled in. */
export const settings = {
  name,
  purpose,
  domain,
  tone: Type.Object({ style, language: Type.String({ description: 'A BCP 47 tag.' }) }, toneMeaning),
  channels,
  integrations,
  instructions,
  model: Type.Object({
    name: Type.Optional(modelName), temperature: Type.Optional(temperature), maxTokens: Type.Optional(maxTokens)
  }, modelMeaning),
  fallback: OpenWord(['none', 'offline'], { description: fallbackMeaning }),
  historyLimit,
  titles,
  summaries
}

export const ChatbotSettings = Type.Object(settings, { $id: 'ChatbotSettings', description: 'The settings of a chatbot.', examples: [example] })
