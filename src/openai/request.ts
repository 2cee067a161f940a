import { type AnswerFormat, type PromptMessage, type Sampling } from '../llm/provider.ts'
import { type ChatCompletionInput } from '../../schemas/openai-chat.ts'
import { refusal } from './errors.ts'

/** The kinds of parts that are text. */
const textParts = new Set(['text', 'input_text', 'output_text'])

/** The text of a message. Throws `validation_failed` for parts that are no text. */
export function textOf (content: unknown, param: string): string {
  if (typeof content === 'string') return content
  if (content === null || content === undefined) return ''
  if (!Array.isArray(content)) throw refusal(param, 'The content must be a text, or an array of parts.')
  return content.map((part: { type?: unknown, text?: unknown } | null, i) => {
    if (textParts.has(String(part?.type)) && typeof part?.text === 'string') return part.text
    throw refusal(`${param}[${i}]`, 'Only parts of text are supported.', 'unsupported_content')
  }).join('\n')
}

export type Said = Extract<PromptMessage, { role: 'system' | 'user' } | { role: 'assistant' }> & { readonly toolCalls?: undefined }

const roles: Readonly<Record<string, Said['role']>> = { system: 'system', developer: 'system', user: 'user', assistant: 'assistant' }

/** A message by its role. Throws `validation_failed` for those of tools. */
export function saidBy (role: string, content: unknown, param: string): Said {
  const known = Object.hasOwn(roles, role) ? roles[role] : undefined
  if (!known) throw refusal(`${param}.role`, `Messages of the role \`${role}\` are not supported.`, 'unsupported_role')
  return { role: known, content: textOf(content, `${param}.content`) }
}

/** What a request says of sampling, without what it leaves open. */
export function present<T extends object> (values: T): { [name in keyof T]?: Exclude<T[name], null | undefined> } {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== null && value !== undefined)) as
    { [name in keyof T]?: Exclude<T[name], null | undefined> }
}

/** What is asked for and is not there. */
export function refuseTools (tools: unknown): void {
  const isNone = tools === undefined || tools === null || (Array.isArray(tools) && tools.length === 0)
  if (!isNone) throw refusal('tools', 'Tools are not supported.', 'unsupported_parameter')
}

export interface WantedFormat {
  readonly type: string
  readonly json_schema?: { readonly name?: string, readonly schema?: object } | null
}

/** The form that a reply is to have; undefined: text. `isModel`: there is a model that can be held to it. */
export function formatOf (wanted: WantedFormat | null | undefined, param: string, isModel: boolean): AnswerFormat | undefined {
  const type = wanted?.type ?? 'text'
  if (type === 'text') return undefined
  if (type !== 'json_object' && type !== 'json_schema') throw refusal(`${param}.type`, `The form \`${type}\` is not supported.`, 'unsupported_parameter')
  if (!isModel) throw refusal(param, 'Replies without a model are text; no other form is supported.', 'unsupported_parameter')
  if (type === 'json_object') return { name: 'answer' }
  const { name = 'answer', schema } = wanted?.json_schema ?? {}
  if (!schema) throw refusal(`${param}.json_schema`, 'A schema is needed.')
  return { name, schema }
}

const MAX_STOPS = 16

function stopsOf (stop: unknown): string[] | undefined {
  if (stop === undefined || stop === null) return undefined
  const texts: unknown[] = Array.isArray(stop) ? stop : [stop]
  if (texts.length <= MAX_STOPS && texts.every((text): text is string => typeof text === 'string' && text !== '')) return texts
  throw refusal('stop', `It must be a text, or an array of up to ${MAX_STOPS} texts, none of them empty.`)
}

/** A request for a reply, as the core understands it. */
export interface ChatRequest {
  readonly messages: readonly Said[]
  readonly sampling: Sampling
  readonly format?: AnswerFormat
}

/** Throws `validation_failed` for what is asked for and not there. */
export function readChatRequest (input: ChatCompletionInput, isModel: boolean): ChatRequest {
  const { stop, temperature, top_p: topP, seed, presence_penalty: presencePenalty, frequency_penalty: frequencyPenalty } = input
  refuseTools(input.tools)
  if ((input.n ?? 1) !== 1) throw refusal('n', 'One reply is written at a time: n must be 1.', 'unsupported_parameter')
  const messages = input.messages.map(({ role, content }, i) => saidBy(role, content, `messages[${i}]`))
  const last = messages.findLast(({ role }) => role !== 'system')
  if (last?.role !== 'user') throw refusal('messages', 'The conversation must end with a message of the user.')
  const format = formatOf(input.response_format, 'response_format', isModel)
  return {
    messages,
    sampling: present({
      temperature,
      topP,
      maxTokens: input.max_completion_tokens ?? input.max_tokens,
      stop: stopsOf(stop),
      seed,
      presencePenalty,
      frequencyPenalty
    }),
    ...(format && { format })
  }
}
