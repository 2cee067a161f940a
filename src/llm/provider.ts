import { type ErrorCode } from '../errors.ts'

/** A model's wish to have a function called. */
export interface ToolCall {
  /** Whatever the model has made up; its result bears the same. */
  readonly id: string
  readonly name: string
  /** A JSON object, as text. */
  readonly arguments: string
}

/** The result of the call with that id. */
export interface ToolMessage {
  readonly role: 'tool'
  readonly content: string
  readonly toolCallId: string
  /** Of the function. */
  readonly name?: string
}

/**
 * One message of a prompt, oldest first; the last is a user's or a tool's. A provider brings the rest into the order
 * that its model wants.
 */
export type PromptMessage =
  | { readonly role: 'system' | 'user', readonly content: string }
  | { readonly role: 'assistant', readonly content: string, readonly toolCalls?: readonly ToolCall[] }
  | ToolMessage

/** Who answers while the model is away. */
export type Fallback = 'none' | 'offline'

/** Tokens of one generation. `estimated`: counted here, because the model did not say. */
export interface Usage {
  promptTokens: number
  completionTokens: number
  totalTokens: number
  cachedTokens?: number
  costUsd?: number
  estimated?: true
}

/** The form that an answer is to have: JSON, of a schema where there is one. The prompt must ask for JSON as well. */
export interface AnswerFormat {
  /** Letters, digits, `_` and `-`. */
  readonly name: string
  /** JSON Schema; only what every server knows: types, members, which of them are required, descriptions. */
  readonly schema?: object
}

/** How the text is chosen; what is absent is the model's default. */
export interface Sampling {
  readonly temperature?: number
  /** Not with a temperature of 0, where there is nothing to choose. */
  readonly topP?: number
  readonly maxTokens?: number
  /** Texts that end the answer and are not part of it. */
  readonly stop?: readonly string[]
  readonly seed?: number
  readonly presencePenalty?: number
  readonly frequencyPenalty?: number
}

export interface GenerationRequest {
  /** Whose call it is: where many wait, tenants are served in turn. */
  readonly tenantId: string
  /** Calls of one session share the beginning of their prompts. */
  readonly sessionId: string
  readonly messages: readonly PromptMessage[]
  /** Name and sampling as the configuration has them; what is absent is the provider's default. */
  readonly model: Sampling & { readonly name?: string }
  /** Text if absent. A model is held to it as far as its server can; what comes must be checked all the same. */
  readonly format?: AnswerFormat
  /** `none` if absent. */
  readonly fallback?: Fallback
  /** The chatbot's own knowledge and language: what the offline provider answers from. */
  readonly instructions: string
  readonly language: string
}

/** What became of one call of a model, for the ledger. */
export interface ModelAttempt {
  /** As it calls itself, else as it was asked for. */
  readonly model: string
  readonly outcome: 'completed' | 'aborted' | ErrorCode
  /** Nothing where the model is known not to have worked; an estimate where it did not say. */
  readonly usage: Usage
  /** From 1, within its generation. */
  readonly attempt: number
  /** How long it took. */
  readonly ms: number
}

export interface GenerationOptions {
  /** True: the text comes as it is written. False: in one piece, which costs both sides less. */
  readonly stream: boolean
  /** Aborting ends the upstream call; the iterator then throws the signal's reason. */
  readonly signal: AbortSignal
  /** Is told of each attempt when it is over, and of all of them before the generation ends. */
  readonly onAttempt?: (attempt: ModelAttempt) => void
  /** Tokens that all attempts may take together: there is none that might take more than is left. */
  readonly budgetTokens?: number
}

/**
 * `finishReason` is an open set: `stop`, `length`, `model_length`, `tool_calls`, and whatever a model invents.
 * `end` comes exactly once, last; a generation without it has failed and throws. `fallback`: the offline provider wrote
 * it, because the model was away.
 */
export type GenerationEvent =
  | { readonly type: 'text', readonly text: string }
  | {
    readonly type: 'end'
    readonly finishReason: string
    readonly model: string
    readonly usage: Usage
    readonly fallback?: true
  }

/**
 * A language model, whoever runs it. `generate` throws `ApiError` with one of the `upstream_*` codes or `overloaded`.
 */
export interface ChatProvider {
  /** Shown in the log and in the reply of the health check. */
  readonly name: string
  /** False: it cannot write, only find; whoever wants something written has rules for that case. */
  readonly isModel: boolean
  /** Tokens that prompt and reply of a model may have together, as far as is known. Absent name: the default model. */
  windowOf (model: string | undefined): number
  generate (request: GenerationRequest, options: GenerationOptions): AsyncIterable<GenerationEvent>
  close (): Promise<void>
}

export interface EmbeddingOptions {
  readonly tenantId: string
  /** The provider's own if absent. */
  readonly model?: string
  readonly signal: AbortSignal
}

/** What makes vectors of texts: near each other where the texts are. Throws as a `ChatProvider` does. */
export interface Embedder {
  /** What writes the vectors where `model` is asked for. */
  modelFor (model: string | undefined): string
  /** A vector for each text, all of one size. */
  embed (texts: readonly string[], options: EmbeddingOptions): Promise<Float32Array[]>
}
