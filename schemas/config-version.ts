import { Note } from './chatbot-config.ts'
import { ChatbotSettings } from './chatbot-settings.ts'
import { begun, settings } from './examples.ts'
import { Page } from './page.ts'
import { Timestamp } from './text.ts'
import { OrNull, Ref, Type, closed, type Static } from './type.ts'

/** The greatest number that a version may have. */
export const MAX_VERSION = 2_147_483_647

export const VersionNumber = Type.Integer({
  minimum: 1, maximum: MAX_VERSION, description: 'A version of the configuration; the first one is 1.'
})

const head = {
  version: VersionNumber,
  note: OrNull(Note, 'What has changed, in a few words. Null: that was not said.'),
  createdAt: Timestamp
}

const exampleHead = { version: 3, note: 'The new warehouse.', createdAt: begun }

export const ConfigVersionHead = Type.Object(head, {
  $id: 'ConfigVersionHead', description: 'A version of a configuration, without its settings.', examples: [exampleHead]
})
export type ConfigVersionHead = Static<typeof ConfigVersionHead>

export const ConfigVersionPage = Page('ConfigVersionPage', ConfigVersionHead)

export const ConfigVersion = Type.Object({ ...head, settings: Ref(ChatbotSettings) }, {
  $id: 'ConfigVersion',
  description: 'What a configuration was from one change to the next. It never changes.',
  examples: [{ ...exampleHead, settings }]
})
export type ConfigVersion = Static<typeof ConfigVersion>

export const ConfigDiffQuery = Type.Object({
  with: Type.Optional(Type.Integer({
    minimum: 1, maximum: MAX_VERSION, description: 'The version to compare with. Default: the one before.'
  }))
}, closed)
export type ConfigDiffQuery = Static<typeof ConfigDiffQuery>

const SettingChange = Type.Object({
  path: Type.String({ description: 'A JSON Pointer (RFC 6901) into the settings. Lists are compared as a whole.' }),
  from: Type.Optional(Type.Unknown({ description: 'The value in `with`. Absent: there was none.' })),
  to: Type.Optional(Type.Unknown({ description: 'The value in `version`. Absent: there is none any more.' }))
})

export const ConfigDiff = Type.Object({
  version: VersionNumber,
  with: Type.Union([VersionNumber, Type.Null()], { description: 'Null: the first version is compared with nothing.' }),
  changes: Type.Array(SettingChange, { description: 'What it takes to get from `with` to `version`. Empty: nothing.' })
}, {
  $id: 'ConfigDiff',
  description: 'How two versions of a configuration differ.',
  examples: [{ version: 3, with: 2, changes: [{ path: '/historyLimit', from: 20, to: 40 }] }]
})
export type ConfigDiff = Static<typeof ConfigDiff>

export const RollbackInput = Type.Object({ version: VersionNumber, note: Type.Optional(Note) }, {
  ...closed,
  $id: 'RollbackInput',
  description: 'Which version to go back to.',
  examples: [{ version: 3, note: 'The new tone was not liked.' }]
})
export type RollbackInput = Static<typeof RollbackInput>
