import { type GenerationRequest, type Sampling } from './provider.ts'

/** A chatbot's model as one request wants it. A reply never gets longer than the chatbot allows. */
export function withSampling (model: GenerationRequest['model'], sampling: Sampling): GenerationRequest['model'] {
  const longest = Math.min(model.maxTokens ?? Infinity, sampling.maxTokens ?? Infinity)
  return { ...model, ...sampling, ...(longest < Infinity && { maxTokens: longest }) }
}
