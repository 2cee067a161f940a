import { Note } from './chatbot-config.ts'
import { ChatbotSettings, ChatbotSettingsInput, nullable } from './chatbot-settings.ts'
import { ConfigVersion, VersionNumber } from './config-version.ts'
import { begun, ended, settings } from './examples.ts'
import { Timestamp } from './text.ts'
import { Ref, Type, closed, type Static } from './type.ts'

export const CONFIG_FORMAT = 'parley.config'
export const CONFIG_FORMAT_VERSION = 1

/** The most versions that one document holds. */
export const MAX_EXPORTED_VERSIONS = 1000

/** The largest document, in bytes: exports stay below it, imports are refused beyond it. */
export const MAX_EXPORT_BYTES = 8 * 1024 * 1024

const format = {
  format: Type.Literal(CONFIG_FORMAT, { description: 'What this document is.' }),
  formatVersion: Type.Literal(CONFIG_FORMAT_VERSION, { description: 'How it is to be read.' })
}

export const ConfigExport = Type.Object({
  ...format,
  exportedAt: Timestamp,
  config: Ref(ChatbotSettings),
  versions: Type.Array(Ref(ConfigVersion), {
    maxItems: MAX_EXPORTED_VERSIONS,
    description: 'The history, the oldest first; the last one is what `config` is. Where it does not fit into one document, the newest part.'
  })
}, {
  $id: 'ConfigExport',
  description: 'A configuration with its history, to be kept or imported elsewhere.',
  examples: [{
    format: CONFIG_FORMAT,
    formatVersion: CONFIG_FORMAT_VERSION,
    exportedAt: ended,
    config: settings,
    versions: [{ version: 1, note: null, createdAt: begun, settings }]
  }]
})
export type ConfigExport = Static<typeof ConfigExport>

const ImportedVersion = Type.Object({
  version: VersionNumber,
  note: nullable(Note),
  createdAt: Timestamp,
  settings: ChatbotSettingsInput
}, closed)

export const ConfigImport = Type.Object({
  ...format,
  exportedAt: Type.Optional(Timestamp),
  config: ChatbotSettingsInput,
  versions: Type.Optional(Type.Array(ImportedVersion, {
    maxItems: MAX_EXPORTED_VERSIONS,
    description: 'The history, the oldest first. It is numbered anew from 1. If the last one is not what `config` is, `config` becomes one more.'
  }))
}, {
  ...closed,
  $id: 'ConfigImport',
  description: 'A document as an export gives it. Only `config` is needed beside the format.',
  examples: [{ format: CONFIG_FORMAT, formatVersion: CONFIG_FORMAT_VERSION, config: { purpose: 'Answer questions about orders.' } }]
})
export type ConfigImport = Static<typeof ConfigImport>
