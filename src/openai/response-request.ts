import { type ResponseInput } from '../../schemas/openai-response.ts'
import { type AnswerFormat, type Sampling } from '../llm/provider.ts'
import { refusal } from './errors.ts'
import { formatOf, present, refuseTools, type Said, saidBy } from './request.ts'

const MAX_ITEMS = 2000

/** A request for a response, as the core understands it. */
export interface ResponseRequest {
  /** What the model is told with the input. */
  readonly system: readonly string[]
  /** What was said, the last of it by the user. */
  readonly turns: readonly Said[]
  readonly sampling: Sampling
  readonly format?: AnswerFormat
}

function saidIn (input: unknown): Said[] {
  if (typeof input === 'string') return [{ role: 'user', content: input }]
  if (!Array.isArray(input) || input.length === 0 || input.length > MAX_ITEMS) {
    throw refusal('input', `The input must be a text, or an array of 1 to ${MAX_ITEMS} messages.`)
  }
  return input.map((item: { type?: unknown, role?: unknown, content?: unknown } | null, i) => {
    const { type = 'message', role, content } = item ?? {}
    if (type !== 'message' || typeof role !== 'string') throw refusal(`input[${i}]`, 'Only messages are supported, with a role and content.', 'unsupported_item')
    return saidBy(role, content, `input[${i}]`)
  })
}

/** Throws `validation_failed` for what is asked for and not there. */
export function readResponseRequest (input: ResponseInput, isModel: boolean): ResponseRequest {
  const { temperature, top_p: topP, max_output_tokens: maxTokens, text } = input
  refuseTools(input.tools)
  if (input.conversation !== undefined && input.conversation !== null) throw refusal('conversation', 'Name the last response by previous_response_id instead.', 'unsupported_parameter')
  if (input.store === false && input.background) throw refusal('background', 'What runs in the background must be stored.')
  const said = saidIn(input.input)
  const turns = said.filter(({ role }) => role !== 'system')
  if (turns.at(-1)?.role !== 'user') throw refusal('input', 'The input must end with a message of the user.')
  const wanted = text?.format
  const format = formatOf(wanted && { type: wanted.type, json_schema: wanted }, 'text.format', isModel)
  return {
    system: said.filter(({ role }) => role === 'system').map(({ content }) => content),
    turns,
    sampling: present({ temperature, topP, maxTokens }),
    ...(format && { format })
  }
}
