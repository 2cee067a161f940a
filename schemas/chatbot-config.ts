import { nullable, settings, settingsInput, settingsPatch } from './chatbot-settings.ts'
import { begun, configId, settings as exampleSettings } from './examples.ts'
import { Page } from './page.ts'
import { Id, Text, Timestamp } from './text.ts'
import { OrNull, Type, closed, type Static } from './type.ts'

/** What a change of a configuration says of itself. */
export const Note = Text({
  maxLength: 500, description: 'Why this version was made. It belongs to this version alone; the next one starts without.'
})

const specificationId = Type.Union([Id, Type.Null()], { description: 'The specification that the configuration was made from.' })

const examples = [{
  name: 'Shipping desk',
  purpose: 'Answer questions about orders and delivery.',
  domain: ['shipping', 'returns'],
  tone: { style: 'friendly', language: 'en' },
  instructions: 'Orders ship within two days. Returns are free for 30 days.'
}]

export const ChatbotConfigInput = Type.Object({
  ...settingsInput,
  note: Type.Optional(Note),
  specificationId: Type.Optional(Id)
}, {
  ...closed, $id: 'ChatbotConfigInput', description: 'What you say of a chatbot. Only `purpose` is required.', examples
})
export type ChatbotConfigInput = Static<typeof ChatbotConfigInput>

const readOnly = (what: string) => Type.Optional(Type.Unknown({ description: `Ignored: ${what} is the server's to say.` }))

export const ChatbotConfigReplacement = Type.Object({
  ...settingsInput,
  note: nullable(Note),
  id: readOnly('it'),
  version: readOnly('it'),
  specificationId: readOnly('it'),
  createdAt: readOnly('it'),
  updatedAt: readOnly('it')
}, {
  ...closed,
  $id: 'ChatbotConfigReplacement',
  description: 'As `ChatbotConfigInput`; the read-only members of an earlier GET may stay in it and are ignored.',
  examples
})
export type ChatbotConfigReplacement = Static<typeof ChatbotConfigReplacement>

export const ChatbotConfigPatch = Type.Object({ ...settingsPatch, note: nullable(Note) }, {
  ...closed,
  $id: 'ChatbotConfigPatch',
  description: 'A JSON merge patch (RFC 7396): absent members stay as they are, null puts a member back to its default. ' +
    'The `note` never stays: without a new one there is none.',
  examples: [{ instructions: 'Orders ship within one day.', note: 'The new warehouse.' }]
})
export type ChatbotConfigPatch = Static<typeof ChatbotConfigPatch>

const example = { id: configId, ...exampleSettings, specificationId: null, version: 1, note: null, createdAt: begun, updatedAt: begun }

export const ChatbotConfig = Type.Object({
  id: Id,
  ...settings,
  specificationId,
  version: Type.Integer({ minimum: 1, description: 'Counts the changes; the ETag is this number in quotes.' }),
  note: OrNull(Note, 'What has changed, in a few words. Null: that was not said.'),
  createdAt: Timestamp,
  updatedAt: Timestamp
}, { $id: 'ChatbotConfig', description: 'A chatbot as it is configured.', examples: [example] })
export type ChatbotConfig = Static<typeof ChatbotConfig>

export const ChatbotConfigPage = Page('ChatbotConfigPage', ChatbotConfig)
