import { Counter, type Registry } from 'prom-client'
import { kinds, type Removed } from '../../src/retention/retention.ts'

const labels: Record<keyof Removed, string> = { sessions: 'sessions', messages: 'messages', deliveryLogs: 'delivery_logs' }

/** Counts what is removed because it is no longer kept. */
export function retentionMetrics (registry: Registry): (kind: keyof Removed, count: number) => void {
  const removed = new Counter({
    name: 'retention_removed_total', help: 'What was removed because its tenant no longer keeps it.', labelNames: ['kind'], registers: [registry]
  })
  for (const kind of kinds) removed.inc({ kind: labels[kind] }, 0)
  return (kind, count) => removed.inc({ kind: labels[kind] }, count)
}
