import { type Fallback } from '../llm/provider.ts'

/** What a team says of a chatbot, every default filled in. */
export interface ChatbotSettings {
  name: string
  purpose: string
  domain: string[]
  tone: { style: string, language: string }
  channels: string[]
  integrations: string[]
  instructions: string
  model: { name?: string, temperature?: number, maxTokens?: number }
  fallback: Fallback
  historyLimit: number
  titles: boolean
  summaries: boolean
}

type Younger = 'fallback' | 'titles' | 'summaries'

/** Settings as they are stored: documents that are older than a setting do not have it. */
export type StoredSettings = Omit<ChatbotSettings, Younger> & Partial<Pick<ChatbotSettings, Younger>>

/** The settings in whatever holds them, and nothing else of it. */
export function settingsIn (holder: StoredSettings): ChatbotSettings {
  const { name, purpose, domain, tone, channels, integrations, instructions, model, historyLimit } = holder
  const { fallback = 'none', titles = true, summaries = true } = holder
  return { name, purpose, domain, tone, channels, integrations, instructions, model, fallback, historyLimit, titles, summaries }
}
