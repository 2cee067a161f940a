import { type Principal } from '../auth/principal.ts'
import { Alarm } from '../chat/alarm.ts'
import { type Chat } from '../chat/chat.ts'
import { type Log } from '../chat/turn-runner.ts'
import { ApiError } from '../errors.ts'
import { JobWorker } from '../jobs/job-worker.ts'
import { type InboundError, type InboundJob, type InboundMessage, type InboundMessageRepository } from '../store/inbound-messages.ts'
import { type Relay } from '../webhooks/relay.ts'
import { type Conversations } from './conversations.ts'

// After each failure that may pass; when they are used up, the message has failed.
const WAITS_MS = [5000, 30_000, 120_000, 600_000]
const AT_ONCE = 100
const AT_ONCE_PER_TENANT = 50
// A session may end or be deleted between being named and being written to.
const MAX_SESSIONS = 3
// Who waits for a message that another process answers looks this often.
const LOOK_MS = 500

interface Dependencies {
  readonly inbound: InboundMessageRepository
  readonly conversations: Conversations
  readonly chat: Chat
  readonly relay: Relay
  readonly log: Log
  /** How long a message that was taken by a process that dies waits for another one. */
  readonly leaseMs: number
  /** Is told when it has looked for messages to be answered. */
  readonly onRound: () => void
}

/** Who speaks for somebody on an external channel: it reaches their own sessions only. */
function principalOf ({ tenantId, integrationId, said: { userId, keyId } }: InboundJob): Principal {
  return {
    kind: 'api-key',
    tenantId,
    userId,
    scopes: new Set(['chat']),
    credential: `integration:${integrationId ?? 'none'}`,
    ...(keyId !== null && { keyId })
  }
}

function errorOf (error: unknown): InboundError & { readonly mayPass: boolean } {
  if (!(error instanceof ApiError)) return { code: 'internal', detail: 'Something went wrong here.', mayPass: true }
  return { code: error.code, detail: error.message, mayPass: error.kind.retryable }
}

/**
 * Has messages from outside answered, each once: a message is bound to its session before it is said there, and the key of the
 * turn is that of the delivery, so whoever does it again after a crash finds what was done.
 */
export class InboundTurns {
  readonly #deps: Dependencies
  readonly #worker: JobWorker<InboundJob>
  readonly #waiting = new Map<string, Set<Alarm>>()

  constructor (deps: Dependencies) {
    const { inbound, chat, log, leaseMs, onRound } = deps
    this.#deps = deps
    this.#worker = new JobWorker({
      queue: {
        // Who goes down takes nothing more; others do.
        dueGroups: async () => chat.isDraining ? [] : await inbound.dueGroups(),
        claim: async (conversation, leaseMs) => chat.isDraining ? undefined : await inbound.claim(conversation, leaseMs),
        renew: async (job, leaseMs) => await inbound.renew(job, leaseMs),
        release: async (job) => await inbound.release(job)
      },
      run: async (job, signal) => {
        await this.#run(job, signal)
        return true
      },
      onRound,
      log,
      name: 'webhooks in',
      leaseMs,
      atOnce: AT_ONCE,
      atOncePerGroup: 1,
      atOncePerOwner: AT_ONCE_PER_TENANT
    })
  }

  /** There is a message to be answered. */
  wake ({ conversation }: InboundMessage): void {
    this.#worker.wake(conversation)
  }

  /** Waits for the end of a message, and answers it as it is then or after `ms`. */
  async ended ({ tenantId, id }: InboundMessage, ms: number): Promise<InboundMessage | undefined> {
    const until = performance.now() + ms
    const alarm = new Alarm()
    const alarms = this.#waiting.get(id) ?? new Set()
    this.#waiting.set(id, alarms.add(alarm))
    try {
      for (;;) {
        const current = await this.#deps.inbound.find(tenantId, id)
        const left = until - performance.now()
        if (current?.status !== 'queued' || left <= 0 || this.#deps.chat.isDraining) return current
        await alarm.rest(Math.min(LOOK_MS, left))
      }
    } finally {
      alarms.delete(alarm)
      if (alarms.size === 0) this.#waiting.delete(id)
    }
  }

  async close (): Promise<void> {
    await this.#worker.close()
  }

  async #run (job: InboundJob, signal: AbortSignal): Promise<void> {
    const { inbound, chat } = this.#deps
    try {
      const exchange = await this.#answer(job)
      if (exchange) await inbound.complete(job, exchange.userMessage.id, exchange.botMessage.id, new Date())
    } catch (error) {
      // It is not the message's fault: whoever takes it next goes on with it.
      if (signal.aborted) return
      if (chat.isDraining) await inbound.release(job)
      else await this.#failed(job, error)
    }
    for (const alarm of this.#waiting.get(job.id) ?? []) alarm.ring()
  }

  /** Undefined: the message is not ours any more. */
  async #answer (job: InboundJob) {
    const { inbound, chat, conversations } = this.#deps
    const principal = principalOf(job)
    const { text, externalMessageId, metadata } = job.said
    const about = { ...metadata, ...(externalMessageId !== undefined && { externalMessageId }) }
    const input = { message: text, ...(Object.keys(about).length > 0 && { metadata: about }) }
    for (let sessions = 1, bound = job.sessionId; ; sessions++, bound = null) {
      const { sessionId, isThere } = bound === null ? await conversations.sessionFor(job) : await conversations.bound(bound)
      if (bound === null && !await inbound.bind(job, sessionId)) {
        // Erased, or deleted with its integration, it must not leave a conversation behind.
        if (!await inbound.find(job.tenantId, job.id)) await conversations.forget(job, sessionId)
        return undefined
      }
      try {
        if (!isThere) await conversations.open(principal, sessionId, job)
        const sent = await chat.send(principal, sessionId, input, { idempotencyKey: `webhook-${job.key}`, onBusy: 'queue', stream: false })
        return await chat.exchange(sent)
      } catch (error) {
        const isGone = error instanceof ApiError && (error.code === 'session_ended' || error.code === 'not_found')
        if (!isGone || sessions === MAX_SESSIONS) throw error
      }
    }
  }

  async #failed (job: InboundJob, cause: unknown): Promise<void> {
    const { inbound, relay, log } = this.#deps
    const { mayPass, ...error } = errorOf(cause)
    const wait = WAITS_MS[job.attempts]
    if (mayPass && wait !== undefined) {
      await inbound.postpone(job, wait, error)
      return
    }
    log.warn({ err: cause, inboundMessageId: job.id, integrationId: job.integrationId }, 'a message that came by a webhook could not be answered')
    const { id, tenantId, integrationId, configId, said: { userId, channel, externalUserId, externalMessageId = null, deliveryId } } = job
    // It may have been bound since it was taken.
    const sessionId = (await inbound.find(tenantId, id))?.sessionId ?? null
    const entry = relay.entry(tenantId, 'integration.failed', () => (
      { integrationId, configId, sessionId, userId, channel, externalUserId, externalMessageId, deliveryId, error }
    ))
    if (await inbound.fail(job, error, new Date(), entry)) relay.push(inbound.outbox, id, tenantId, entry)
  }
}
