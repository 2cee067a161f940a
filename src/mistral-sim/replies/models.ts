import { ApiFailure, refusal } from '../errors/api-failure.ts'

/** What a request may use a model for. */
export type Ability = 'completion_chat' | 'completion_fim' | 'embedding' | 'moderation'

/** One model as the simulator knows it. */
export interface Model {
  id: string
  aliases: string[]
  /** Tokens of prompt and reply together. */
  window: number
  abilities: Ability[]
  reasoning?: true
  vision?: true
  /** The API refuses more than one choice from it. */
  singleChoice?: true
  /** Runs elsewhere and streams tool calls in fragments. */
  foreign?: true
  deprecation?: string
  replacement?: string
}

const K = 1024
type Traits = Omit<Model, 'id' | 'aliases' | 'window' | 'abilities'>

function model (id: string, aliases: string[], window: number, abilities: Ability[], traits: Traits = {}): Model {
  return { id, aliases, window: window * K, abilities, ...traits }
}

const chat: Ability[] = ['completion_chat']
const thinks: Traits = { vision: true, reasoning: true }
const sees: Traits = { vision: true }
const leaving: Traits = { vision: true, deprecation: '2026-08-31T00:00:00Z', replacement: 'mistral-medium-3-5' }

/** The models of the API's list as of 2026-08-21. */
export const MODELS: Model[] = [
  model('mistral-large-2512', ['mistral-large-latest'], 256, chat, { ...sees, singleChoice: true }),
  model('mistral-medium-3-5', ['mistral-medium-3', 'mistral-medium-latest'], 256, chat, thinks),
  model('mistral-small-2603', ['mistral-small-latest'], 256, chat, thinks),
  model('ministral-14b-2512', ['ministral-14b-latest'], 256, chat, sees),
  model('ministral-8b-2512', ['ministral-8b-latest'], 256, chat, sees),
  model('ministral-3b-2512', ['ministral-3b-latest'], 256, chat, sees),
  model('codestral-2508', ['codestral-latest'], 128, ['completion_chat', 'completion_fim']),
  model('zai-glm-5-2', [], 1024, chat, { foreign: true }),
  model('labs-leanstral-1-5', [], 256, chat, { deprecation: '2026-09-30T00:00:00Z' }),
  model('voxtral-small-2507', ['voxtral-small-latest'], 32, chat),
  model('mistral-embed-2312', ['mistral-embed'], 8, ['embedding']),
  model('codestral-embed-2505', ['codestral-embed'], 8, ['embedding']),
  model('mistral-moderation-2603', ['mistral-moderation-latest'], 128, ['moderation']),
  model('mistral-medium-2508', [], 128, chat, leaving),
  model('mistral-medium-2505', [], 128, chat, leaving)
]

const RETIRED = new Set([
  'devstral-2512', 'magistral-medium-2509', 'magistral-small-2509', 'mistral-small-2506', 'open-mistral-nemo'
])

const byName = new Map(MODELS.flatMap((known) => [known.id, ...known.aliases].map((name) => [name, known])))

/** The model of that id or alias. */
export function findModel (name: string): Model | undefined {
  return byName.get(name)
}

/** The model a request names, able to do what the route does. Retired: 404. Unknown or unable: 400, code 1500. */
export function requireModel (name: string, ability: Ability, notInUse: readonly string[]): Model {
  if (RETIRED.has(name)) throw new ApiFailure(404, { detail: 'Not Found' })
  if (notInUse.includes(name)) {
    throw refusal(400, `Model ${name} is currently not in use.`, 'invalid_model', '3003')
  }
  const found = byName.get(name)
  if (!found?.abilities.includes(ability)) throw refusal(400, `Invalid model: ${name}`, 'invalid_model', '1500')
  return found
}

/** The model as GET /v1/models shows it under one of its names. */
export function modelCard (card: Model, name: string, created: number): Record<string, unknown> {
  const can = (ability: Ability): boolean => card.abilities.includes(ability)
  return {
    id: name,
    object: 'model',
    created,
    owned_by: 'mistralai',
    capabilities: {
      completion_chat: can('completion_chat'),
      function_calling: can('completion_chat'),
      reasoning: card.reasoning === true,
      completion_fim: can('completion_fim'),
      fine_tuning: false,
      vision: card.vision === true,
      ocr: false,
      classification: false,
      moderation: can('moderation'),
      audio: name.startsWith('voxtral'),
      audio_transcription: false,
      audio_speech: false
    },
    name: card.id,
    description: 'Simulated; nothing here is a language card.',
    max_context_length: card.window,
    aliases: [card.id, ...card.aliases].filter((other) => other !== name),
    deprecation: card.deprecation ?? null,
    deprecation_replacement_model: card.replacement ?? null,
    default_model_temperature: can('completion_chat') ? 0.3 : null,
    type: 'base'
  }
}
