import { type Embeddings as Answer, type EmbeddingsInput } from '../../schemas/openai-embedding.ts'
import { type Principal } from '../auth/principal.ts'
import { ApiError } from '../errors.ts'
import { type Embedder } from '../llm/provider.ts'
import { estimateTokens } from '../llm/usage.ts'
import { newId } from '../store/ids.ts'
import { type UsageLedger } from '../usage/ledger.ts'
import { type Quotas } from '../usage/quotas.ts'
import { spentOn } from '../usage/spent.ts'
import { refusal } from './errors.ts'
import { refuseVisitors } from './models.ts'
import { payerOf } from './payer.ts'

const MAX_TEXTS = 2048

interface Dependencies {
  readonly embedder: Embedder
  readonly quotas: Quotas
  readonly ledger: UsageLedger
}

/** Vectors of texts, as OpenAI's embeddings: within the quotas, and with a record of what they took. */
export class Embeddings {
  readonly #deps: Dependencies

  constructor (deps: Dependencies) {
    this.#deps = deps
  }

  async embed (principal: Principal, { model: wanted, input, encoding_format: encoding, dimensions }: EmbeddingsInput, signal: AbortSignal): Promise<Answer> {
    const { embedder, quotas, ledger } = this.#deps
    refuseVisitors(principal)
    if (dimensions != null) throw refusal('dimensions', 'The size of a vector is the model\'s; it cannot be chosen.', 'unsupported_parameter')
    const texts = textsIn(input)
    const model = embedder.modelFor(wanted)
    const promptTokens = texts.reduce((sum, text) => sum + estimateTokens(text), 0)
    const payer = await payerOf(principal, quotas)
    const id = newId()
    const prompt = texts.map((content) => ({ role: 'user', content }) as const)
    const grant = await quotas.reserve(payer, { id, prompt, maxTokens: 0, messages: 0 })
    let outcome: Parameters<typeof spentOn>[0]['outcome'] = 'aborted'
    try {
      const vectors = await embedder.embed(texts, { tenantId: payer.tenantId, model, signal })
      outcome = 'completed'
      return {
        object: 'list',
        model,
        data: vectors.map((vector, index) => ({ object: 'embedding', index, embedding: encoding === 'base64' ? packed(vector) : Array.from(vector) })),
        usage: { prompt_tokens: promptTokens, total_tokens: promptTokens }
      }
    } catch (error) {
      if (error instanceof ApiError) outcome = error.code
      throw error
    } finally {
      const usage = { promptTokens: outcome === 'completed' ? promptTokens : 0, completionTokens: 0, totalTokens: promptTokens, estimated: true } as const
      const { subjects = [] } = grant ?? {}
      ledger.add({ ...payer, id, at: new Date(), configId: null, purpose: 'embedding', subjects, attempts: [spentOn({ model, outcome, usage })] })
    }
  }
}

/** Throws `validation_failed` for what is no text, such as tokens. */
function textsIn (input: unknown): string[] {
  const texts: unknown[] = Array.isArray(input) ? input : [input]
  const areTexts = texts.every((text): text is string => typeof text === 'string' && text !== '')
  if (areTexts && texts.length > 0 && texts.length <= MAX_TEXTS) return texts
  throw refusal('input', `The input must be a text, or an array of up to ${MAX_TEXTS} texts, none of them empty.`)
}

function packed (vector: Float32Array): string {
  const bytes = Buffer.alloc(vector.length * Float32Array.BYTES_PER_ELEMENT)
  vector.forEach((number, i) => bytes.writeFloatLE(number, i * Float32Array.BYTES_PER_ELEMENT))
  return bytes.toString('base64')
}
