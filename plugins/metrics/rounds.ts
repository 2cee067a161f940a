import { Gauge, type Registry } from 'prom-client'

/** What this process does again and again. */
export type Work = 'reaper' | 'purger' | 'webhooks' | 'webhooks in' | 'retention'

/** Notes when a work was last done, so that one that is not done any more is seen. */
export function roundMetrics (registry: Registry): (work: Work) => void {
  const last = new Gauge({
    name: 'job_last_run_timestamp_seconds', help: 'When background work was last done, in Unix time.', labelNames: ['work'], registers: [registry]
  })
  return (work) => last.set({ work }, Date.now() / 1000)
}
