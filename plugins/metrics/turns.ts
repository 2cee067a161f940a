import { growingCache } from '../../src/growing-cache.ts'
import { Counter, Histogram, type Registry } from 'prom-client'
import { type EndedTurn } from '../../src/chat/ended-turn.ts'
import { waits } from './buckets.ts'
import { state } from './state.ts'

const ACTIVE_MS = 300_000
// Of more conversations than these, the number is too small.
const MAX_ACTIVE = 100_000

/** What turns are counted by. `running`: how many are written now. */
export function turnMetrics (registry: Registry, running: () => number) {
  const registers = [registry]
  const messages = new Counter({ name: 'chat_messages_total', help: 'Messages of turns that are over.', labelNames: ['role'], registers })
  const turns = new Counter({
    name: 'chat_turns_total', help: 'Turns that are over, by the status of the reply and the code of its error.', labelNames: ['status', 'code'], registers
  })
  const response = new Histogram({
    name: 'chat_response_time_seconds', help: 'From the call of the model to the end of the reply.', buckets: waits, registers
  })
  const firstToken = new Histogram({
    name: 'chat_first_token_seconds', help: 'From the call of the model to the first of its text.', buckets: waits, registers
  })
  const active = growingCache<true>(MAX_ACTIVE, { ttl: ACTIVE_MS })
  state(registry, 'chat_turns_running', 'Replies that are being written.', running)
  state(registry, 'active_conversations', 'Sessions that had a reply in the last five minutes.', () => {
    active.purgeStale()
    return active.size
  })

  /** Counts a turn that is over. */
  return ({ session, userMessage, reply }: EndedTurn): void => {
    active.set(session.id, true)
    // Else it was there before, and this is another reply to it.
    if (userMessage.seq === reply.seq - 1) messages.inc({ role: 'user' })
    messages.inc({ role: 'bot' })
    turns.inc({ status: reply.status, code: reply.error?.code ?? '' })
    if (!reply.latency) return
    response.observe(reply.latency.totalMs / 1000)
    if (reply.latency.firstTokenMs !== undefined) firstToken.observe(reply.latency.firstTokenMs / 1000)
  }
}
