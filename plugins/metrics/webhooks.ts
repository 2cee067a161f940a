import { Counter, Gauge, type Registry } from 'prom-client'
import { type Backlog } from '../../src/store/due-jobs.ts'
import { type DeliveryOutcome } from '../../src/webhooks/deliverer.ts'

const FRESH_MS = 10_000

/** What deliveries are counted by. `backlog` is looked at when somebody asks for the metrics, who does not wait for it. */
export function webhookMetrics (registry: Registry, backlog: () => Promise<Backlog>): (outcome: DeliveryOutcome) => void {
  const registers = [registry]
  const deliveries = new Counter({
    name: 'webhook_deliveries_total', help: 'Attempts to deliver a webhook, by what came of them.', labelNames: ['outcome'], registers
  })
  let lookedAt = -Infinity
  const look = () => {
    if (performance.now() - lookedAt < FRESH_MS) return
    lookedAt = performance.now()
    backlog().then(({ count, oldestMs }) => {
      waiting.set(count)
      oldest.set(oldestMs / 1000)
    }, () => { /* what was known before stands; that the store is away is told elsewhere */ })
  }
  const waiting = new Gauge({
    name: 'webhook_backlog', help: 'Deliveries of all replicas that are due and wait, up to 1000, as of the scrape before.', registers, collect: look
  })
  const oldest = new Gauge({ name: 'webhook_backlog_oldest_seconds', help: 'How long the oldest of them has waited.', registers })
  return (outcome) => deliveries.inc({ outcome })
}
