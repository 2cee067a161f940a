import { ApiError } from '../../../errors.ts'
import { estimateInputTokens } from './input-tokens.ts'
import { Share } from './share.ts'

export interface BatchOptions {
  readonly tenantId: string
  readonly model: string
  /** Ends this caller's part; the call itself ends when nobody waits for it any more. */
  readonly signal: AbortSignal
}

/** Makes one call for many texts. The results are in the order of the texts. */
export type BatchCall<T> = (texts: readonly string[], options: BatchOptions) => Promise<T[]>

interface Item<T> {
  readonly share: Share<T>
  /** Its place among the texts of its caller. */
  readonly index: number
  readonly text: string
}

// The API's limits for one request: 512 texts and 16,384 tokens. Tokens are estimated, and a model may count more.
const MAX_TEXTS = 512
const MAX_TOKENS = 16_384 / 1.15
// Much less than a call takes; enough for requests that came together to meet.
const JOIN_MS = 5

/**
 * Joins what is asked at the same moment, for one tenant and one model, into as few calls as the limits allow. Each
 * caller gets its own results. A caller with more than fits into a call is served by several.
 *
 * Chat calls are never joined: the API has no request for several conversations, and each has a stream, deadlines and a
 * price of its own.
 */
export class Batcher<T> {
  readonly #call: BatchCall<T>
  readonly #gathering = new Map<string, Array<Item<T>>>()

  constructor (call: BatchCall<T>) {
    this.#call = call
  }

  /** One result for each text, in their order. Throws what the call throws, or the signal's reason. */
  async run (texts: readonly string[], { tenantId, model, signal }: BatchOptions): Promise<T[]> {
    signal.throwIfAborted()
    if (texts.length === 0) return []
    const share = new Share<T>(texts.length, signal)
    const gathered = this.#gathered(tenantId, model)
    texts.forEach((text, index) => gathered.push({ share, index, text }))
    return await share.promise
  }

  /** What is asked at this moment; it is sent when the moment is over. */
  #gathered (tenantId: string, model: string): Array<Item<T>> {
    const key = JSON.stringify([tenantId, model])
    const gathered = this.#gathering.get(key)
    if (gathered !== undefined) return gathered
    const items: Array<Item<T>> = []
    this.#gathering.set(key, items)
    setTimeout(() => {
      this.#gathering.delete(key)
      const wanted = items.filter(({ share }) => !share.isSettled)
      for (const batch of batchesOf(wanted)) void this.#send(batch, tenantId, model)
    }, JOIN_MS)
    return items
  }

  /** Never rejects: every outcome is told to the callers. */
  async #send (batch: ReadonlyArray<Item<T>>, tenantId: string, model: string): Promise<void> {
    const shares = [...new Set(batch.map(({ share }) => share))]
    const abandoned = new AbortController()
    for (const share of shares) {
      share.onSettled(() => { if (shares.every(({ isSettled }) => isSettled)) abandoned.abort() })
    }
    try {
      const results = await this.#call(batch.map(({ text }) => text), { tenantId, model, signal: abandoned.signal })
      batch.forEach(({ share, index }, at) => share.give(index, results[at]!))
    } catch (error) {
      if (shares.length === 1 || !isRefusal(error)) return shares.forEach((share) => share.fail(error))
      // Somebody's text is not accepted: apart, it is that caller's alone.
      await Promise.all(shares.filter(({ isSettled }) => !isSettled).map(async (own) =>
        await this.#send(batch.filter(({ share }) => share === own), tenantId, model)))
    }
  }
}

function isRefusal (error: unknown): boolean {
  return error instanceof ApiError && error.code === 'upstream_rejected'
}

/** A text that is too large for a call goes alone: whether it is accepted is for the model to say. */
function batchesOf<T> (items: ReadonlyArray<Item<T>>): Array<Array<Item<T>>> {
  const batches: Array<Array<Item<T>>> = []
  let tokens = 0
  for (const item of items) {
    const cost = estimateInputTokens(item.text)
    const last = batches.at(-1)
    if (last !== undefined && last.length < MAX_TEXTS && tokens + cost <= MAX_TOKENS) {
      last.push(item)
      tokens += cost
    } else {
      batches.push([item])
      tokens = cost
    }
  }
  return batches
}
