import { ApiFailure, refusal } from './errors.ts'

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
const chat: Ability[] = ['completion_chat']

/** The models of the API's list as of 2026-08-21. */
export const MODELS: Model[] = [
  { id: 'mistral-large-2512', aliases: ['mistral-large-latest'], window: 256 * K, abilities: chat, vision: true, singleChoice: true },
  { id: 'mistral-medium-3-5', aliases: ['mistral-medium-3', 'mistral-medium-latest'], window: 256 * K, abilities: chat, vision: true, reasoning: true },
  { id: 'mistral-small-2603', aliases: ['mistral-small-latest'], window: 256 * K, abilities: chat, vision: true, reasoning: true },
  { id: 'ministral-14b-2512', aliases: ['ministral-14b-latest'], window: 256 * K, abilities: chat, vision: true },
  { id: 'ministral-8b-2512', aliases: ['ministral-8b-latest'], window: 256 * K, abilities: chat, vision: true },
  { id: 'ministral-3b-2512', aliases: ['ministral-3b-latest'], window: 256 * K, abilities: chat, vision: true },
  { id: 'codestral-2508', aliases: ['codestral-latest'], window: 128 * K, abilities: ['completion_chat', 'completion_fim'] },
  { id: 'zai-glm-5-2', aliases: [], window: 1024 * K, abilities: chat, foreign: true },
  { id: 'labs-leanstral-1-5', aliases: [], window: 256 * K, abilities: chat, deprecation: '2026-09-30T00:00:00Z' },
  { id: 'voxtral-small-2507', aliases: ['voxtral-small-latest'], window: 32 * K, abilities: chat },
  { id: 'mistral-embed-2312', aliases: ['mistral-embed'], window: 8 * K, abilities: ['embedding'] },
  { id: 'codestral-embed-2505', aliases: ['codestral-embed'], window: 8 * K, abilities: ['embedding'] },
  { id: 'mistral-moderation-2603', aliases: ['mistral-moderation-latest'], window: 128 * K, abilities: ['moderation'] },
  { id: 'mistral-medium-2508', aliases: [], window: 128 * K, abilities: chat, vision: true, deprecation: '2026-08-31T00:00:00Z', replacement: 'mistral-medium-3-5' },
  { id: 'mistral-medium-2505', aliases: [], window: 128 * K, abilities: chat, vision: true, deprecation: '2026-08-31T00:00:00Z', replacement: 'mistral-medium-3-5' }
]

const RETIRED = new Set([
  'devstral-2512', 'magistral-medium-2509', 'magistral-small-2509', 'mistral-small-2506', 'open-mistral-nemo'
])

const byName = new Map(MODELS.flatMap((model) => [model.id, ...model.aliases].map((name) => [name, model])))

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
  const model = byName.get(name)
  if (!model?.abilities.includes(ability)) throw refusal(400, `Invalid model: ${name}`, 'invalid_model', '1500')
  return model
}

/** The model as GET /v1/models shows it under one of its names. */
export function modelCard (model: Model, name: string, created: number): Record<string, unknown> {
  const can = (ability: Ability): boolean => model.abilities.includes(ability)
  return {
    id: name,
    object: 'model',
    created,
    owned_by: 'mistralai',
    capabilities: {
      completion_chat: can('completion_chat'),
      function_calling: can('completion_chat'),
      reasoning: model.reasoning === true,
      completion_fim: can('completion_fim'),
      fine_tuning: false,
      vision: model.vision === true,
      ocr: false,
      classification: false,
      moderation: can('moderation'),
      audio: name.startsWith('voxtral'),
      audio_transcription: false,
      audio_speech: false
    },
    name: model.id,
    description: 'Simulated; nothing here is a language model.',
    max_context_length: model.window,
    aliases: [model.id, ...model.aliases].filter((other) => other !== name),
    deprecation: model.deprecation ?? null,
    deprecation_replacement_model: model.replacement ?? null,
    default_model_temperature: can('completion_chat') ? 0.3 : null,
    type: 'base'
  }
}
