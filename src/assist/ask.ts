import { type ChatProvider, type GenerationRequest, type Usage } from '../llm/provider.ts'

/** What a model is asked by the server itself, not by a user of a chatbot. */
export type Question = Pick<GenerationRequest, 'tenantId' | 'messages' | 'format'> & {
  /** What it is about; questions about the same may share the beginning of their prompts. */
  readonly subject: string
  /** Of the answer. */
  readonly maxTokens: number
}

/** What the model said. `isWhole`: it was not cut off. */
export interface Answer {
  readonly text: string
  readonly isWhole: boolean
  readonly model: string
  readonly usage: Usage
}

/** Asks the server's default model and waits for all of its answer. Throws what `generate` throws. */
export async function ask (provider: ChatProvider, question: Question, signal: AbortSignal): Promise<Answer> {
  const { tenantId, subject, messages, format, maxTokens } = question
  const request = {
    tenantId,
    sessionId: subject,
    messages,
    model: { temperature: 0, maxTokens },
    instructions: '',
    language: 'en',
    ...(format && { format })
  }
  let text = ''
  for await (const event of provider.generate(request, { stream: false, signal })) {
    if (event.type === 'text') text += event.text
    else return { text, isWhole: event.finishReason === 'stop', model: event.model, usage: event.usage }
  }
  throw new Error('a generation ended without its end')
}

/** What two answers took together. Its cost is that of the part with a known price. */
export function sumUsage (a: Usage, b: Usage): Usage {
  const cachedTokens = sum(a.cachedTokens, b.cachedTokens)
  const costUsd = sum(a.costUsd, b.costUsd)
  return {
    promptTokens: a.promptTokens + b.promptTokens,
    completionTokens: a.completionTokens + b.completionTokens,
    totalTokens: a.totalTokens + b.totalTokens,
    ...(cachedTokens !== undefined && { cachedTokens }),
    ...(costUsd !== undefined && { costUsd }),
    ...((a.estimated ?? b.estimated) && { estimated: true })
  }
}

function sum (a: number | undefined, b: number | undefined): number | undefined {
  return a === undefined && b === undefined ? undefined : (a ?? 0) + (b ?? 0)
}
