import { type Embedder, type EmbeddingOptions } from '../../provider.ts'
import { Batcher, type BatchOptions } from './batcher.ts'
import { embeddingsBody, readEmbeddings } from './embeddings.ts'
import { type JsonContext, postJson } from './json-post.ts'
import { type Moderation, moderationsBody, readModerations } from './moderations.ts'

const EMBEDDING_MODEL = 'mistral-embed'
const MODERATION_MODEL = 'mistral-moderation-latest'

/** Only what one tenant asks is joined. Mistral's own model if none is given. */
export type TextOptions = EmbeddingOptions

/** Answers in the order of the texts; throws one of the `upstream_*` codes, `overloaded`, or the signal's reason. */
export interface TextBatches extends Embedder {
  moderate (texts: readonly string[], options: TextOptions): Promise<Moderation[]>
}

export interface TextPaths {
  readonly embeddings: string
  readonly moderations: string
}

/** What a model makes of texts, where requests of the same moment are joined into one call. */
export function createTextBatches (context: JsonContext, paths: TextPaths): TextBatches {
  const embeddings = new Batcher(async (texts, options) => await postJson(context, {
    ...options,
    path: paths.embeddings,
    body: embeddingsBody(options.model, texts),
    read: (answer) => readEmbeddings(answer, texts.length)
  }))
  const moderations = new Batcher(async (texts, options) => await postJson(context, {
    ...options,
    path: paths.moderations,
    body: moderationsBody(options.model, texts),
    read: (answer) => readModerations(answer, texts.length)
  }))
  return {
    modelFor: (model = EMBEDDING_MODEL) => model,
    embed: async (texts, options) => await embeddings.run(texts, withModel(options, EMBEDDING_MODEL)),
    moderate: async (texts, options) => await moderations.run(texts, withModel(options, MODERATION_MODEL))
  }
}

function withModel ({ tenantId, model, signal }: TextOptions, usual: string): BatchOptions {
  return { tenantId, model: model ?? usual, signal }
}
