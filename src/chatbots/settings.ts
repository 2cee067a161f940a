import { type ChatbotSettingsInput } from '../../schemas/chatbot-settings.ts'
import { ApiError } from '../errors.ts'
import { type ChatbotSettings } from '../store/chatbot-settings.ts'
import { languageTag } from './language.ts'

const NAME_CHARS = 60

/** The start of a purpose, cut between two words where there are any, never inside a character. */
function nameFrom (purpose: string): string {
  const [firstLine = ''] = purpose.trim().split(/[\r\n]/, 1)
  const characters = [...firstLine]
  if (characters.length <= NAME_CHARS) return firstLine
  const start = characters.slice(0, NAME_CHARS - 1).join('')
  return `${start.replace(/\s+\S*$/, '')}…`
}

/** Fills in every default. Throws `validation_failed` for a language that is none; `at` is where the settings are in the body. */
export function settingsFrom (input: ChatbotSettingsInput, at = ''): ChatbotSettings {
  const language = languageTag(input.tone?.language ?? 'en')
  if (language === undefined) {
    throw new ApiError('validation_failed', {
      detail: 'The language is not known.',
      members: { errors: [{ path: `${at}/tone/language`, message: 'must be a BCP 47 tag or the English name of a language' }] }
    })
  }
  return {
    name: input.name ?? nameFrom(input.purpose),
    purpose: input.purpose,
    domain: input.domain ?? [],
    tone: { style: input.tone?.style ?? 'friendly', language },
    channels: input.channels ?? [],
    integrations: input.integrations ?? [],
    instructions: input.instructions ?? '',
    model: input.model ?? {},
    fallback: input.fallback ?? 'none',
    historyLimit: input.historyLimit ?? 20,
    titles: input.titles ?? true,
    summaries: input.summaries ?? true
  }
}
