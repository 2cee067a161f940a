/** What a key may do with a model; absent numbers are no limit. */
export interface Limits {
  requestsPerSecond?: number
  requestsPerMinute?: number
  /** Tokens of prompts and replies; `max_tokens` is reserved until the reply is over. */
  tokensPerMinute?: number
  /** Which generation of headers tells what is left, default `new`. */
  headers?: 'new' | 'old' | 'both' | 'none'
  /** Form of the 429, default `mistral`. */
  bodyShape?: 'mistral' | 'gateway'
  /** How the 429 says when to come again. Default `none`, as nobody has seen the API do it. */
  retryAfter?: 'seconds' | 'date' | 'none'
}
