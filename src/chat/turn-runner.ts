import { ApiError } from '../errors.ts'
import { type ChatProvider, type GenerationEvent, type GenerationRequest } from '../llm/provider.ts'
import { estimateUsage } from '../llm/usage.ts'
import { type MessageEnd, type Unrecorded } from '../store/message.ts'
import { type MessageRepository } from '../store/messages.ts'
import { type Spent } from '../store/usage-events.ts'
import { type UsageLedger } from '../usage/ledger.ts'
import { type Grant } from '../usage/quotas.ts'
import { spentOn } from '../usage/spent.ts'
import { type Endings } from './endings.ts'
import { type LiveMessage, TurnEnd } from './live-message.ts'
import { interruption, type TurnTaking } from './turn-taking.ts'

/** The part of a logger that the core uses. */
export interface Log {
  warn (details: object, message: string): void
  error (details: object, message: string): void
}

export interface TurnRunnerOptions {
  readonly messages: MessageRepository
  readonly endings: Endings
  readonly turns: TurnTaking
  readonly provider: ChatProvider
  readonly ledger: UsageLedger
  readonly log: Log
  readonly leaseMs: number
  readonly flushMs: number
}

/** How a reply is to be made, and on whose account. */
export interface RunOptions {
  /** Whether the text is wanted as it is written. */
  readonly stream: boolean
  /** The API key that it was asked with. */
  readonly keyId: string | null
  /** What was reserved for it, where there are quotas. */
  readonly grant?: Grant | undefined
}

type Finish = Extract<GenerationEvent, { type: 'end' }>

/** Runs the model for a turn, keeps what it says, and ends the turn, whatever happens. */
export class TurnRunner {
  readonly #options: TurnRunnerOptions

  constructor (options: TurnRunnerOptions) {
    this.#options = options
  }

  /** Never rejects: every outcome is an end of `live`. */
  async run (live: LiveMessage, request: GenerationRequest, options: RunOptions): Promise<void> {
    const { stream, grant } = options
    const attempts: Spent[] = []
    const started = performance.now()
    const sinceStart = () => Math.round(performance.now() - started)
    let firstTokenMs: number | undefined
    let finish: Finish | undefined
    let end: MessageEnd
    let cause: ApiError | undefined
    const stopKeeping = this.#keep(live)
    try {
      for await (const event of this.#options.provider.generate(request, {
        stream,
        signal: live.signal,
        onAttempt: (attempt) => attempts.push(spentOn(attempt)),
        ...(grant?.budgetTokens && { budgetTokens: grant.budgetTokens })
      })) {
        if (event.type === 'end') {
          finish = event
        } else {
          firstTokenMs ??= sinceStart()
          live.append(event.text)
        }
      }
      end = { ...completion(finish), content: live.text }
    } catch (error) {
      if (error instanceof ApiError) cause = error
      end = { ...this.#failure(live, error), content: live.text, usage: estimateUsage(request.messages, live.text) }
    } finally {
      stopKeeping()
    }
    live.attempts = attempts.length
    const latency = { ...(firstTokenMs !== undefined && { firstTokenMs }), totalMs: sinceStart() }
    const wholeEnd = { ...end, configVersion: live.botMessage.configVersion, latency }
    await this.#finish(live, wholeEnd, cause, { keyId: options.keyId, subjects: grant?.subjects ?? [], attempts })
  }

  /** Writes the growing text and renews the lease, until told to stop. */
  #keep (live: LiveMessage): () => void {
    const { messages, turns, log, flushMs, leaseMs } = this.#options
    const { id, sessionId } = live.botMessage
    let written = 0
    let writing = false
    let running = true
    const guard = async (work: () => Promise<boolean>) => {
      try {
        if (!await work() && running) live.abort('lost')
      } catch (error) {
        // The next beat tries again; what the store missed is in memory.
        log.warn({ err: error, messageId: id }, 'a running turn could not be written')
      }
    }
    const flush = async () => {
      const { text } = live
      if (writing || text.length === written) return
      writing = true
      await guard(async () => {
        const isStreaming = await messages.flush(id, text)
        written = text.length
        return isStreaming
      })
      writing = false
    }
    const renew = async () => await guard(async () => await turns.renew(sessionId, id))
    const timers = [setInterval(() => { void flush() }, flushMs), setInterval(() => { void renew() }, leaseMs / 3)]
    return () => {
      running = false
      timers.forEach(clearInterval)
    }
  }

  #failure (live: LiveMessage, error: unknown): Pick<MessageEnd, 'status' | 'error'> {
    // A turn that was lost has been ended elsewhere, or its lease has run out; what is written first counts.
    if (error instanceof TurnEnd) return error.reason === 'stopped' || error.reason === 'deleted' ? { status: 'stopped' } : interruption
    if (error instanceof ApiError) return { status: 'failed', error: { code: error.code, detail: error.message } }
    this.#options.log.error({ err: error, messageId: live.botMessage.id }, 'a turn failed unexpectedly')
    return { status: 'failed', error: { code: 'internal', detail: 'Something went wrong here.' } }
  }

  async #finish (live: LiveMessage, end: MessageEnd, cause: ApiError | undefined, unrecorded: Unrecorded): Promise<void> {
    const { messages, endings, turns, ledger, log } = this.#options
    const { id, sessionId, tenantId, configId, userId } = live.botMessage
    const isDeleted = live.signal.reason instanceof TurnEnd && live.signal.reason.reason === 'deleted'
    const ending = endings.complete(live.botMessage, end, !isDeleted, unrecorded)
    try {
      const [ended] = await Promise.all([ending, turns.release(sessionId, id)])
      // Ended elsewhere in the meantime: what is stored is the truth. Deleted: only those who listen now will ever see it.
      live.end(ended ?? await messages.find(sessionId, id) ?? { ...live.botMessage, ...end }, cause)
    } catch (error) {
      // The lease runs out, and the reaper ends the message with the text that was flushed.
      log.error({ err: error, messageId: id }, 'the end of a turn could not be written')
      live.fail(new ApiError('store_unavailable', { detail: 'The reply could not be stored.', cause: error }))
    }
    // Also where somebody else has ended it: the model has worked all the same.
    const isOurs = await ending.catch(() => undefined)
    if (!isOurs) ledger.add({ id, tenantId, configId, userId, at: new Date(), purpose: 'reply', ...unrecorded })
  }
}

function completion (
  finish: Finish | undefined
): Pick<MessageEnd, 'status' | 'model' | 'fallback' | 'finishReason' | 'usage'> {
  if (!finish) throw new ApiError('upstream_failed', { detail: 'The model ended without saying so.' })
  const { model, fallback, finishReason, usage } = finish
  return { status: 'completed', model, ...(fallback && { fallback }), finishReason, usage }
}
