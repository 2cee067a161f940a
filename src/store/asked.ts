/** What a reply was asked for by a program that speaks OpenAI's API: told again whenever the reply is. */
export interface Asked {
  /** The chatbot, as it was named. */
  readonly model: string
  readonly instructions: string | null
  /** What the model was told besides: with this reply, and with those before it. */
  readonly system: readonly string[]
  readonly carried: readonly string[]
  readonly temperature: number
  readonly topP: number
  readonly maxTokens: number | null
  /** The form of the text, as JSON. */
  readonly format: string
  readonly metadata: Record<string, unknown>
  /** The reply that it goes on from. */
  readonly previousId: string | null
  readonly user: string | null
  readonly background: boolean
  /** How many messages came with the one that it answers. */
  readonly earlier: number
}
