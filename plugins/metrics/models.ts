import { Counter, Gauge, Histogram, type Registry } from 'prom-client'
import { type ModelLoad } from '../../src/llm/mistral/admission/admission.ts'
import { knownName } from '../../src/llm/models.ts'
import { costUsd } from '../../src/llm/prices.ts'
import { type ModelAttempt } from '../../src/llm/provider.ts'
import { waits } from './buckets.ts'
import { state } from './state.ts'

/** What calls of models are counted by. Models are named as far as they are known: tenants may make names up. */
export function modelMetrics (registry: Registry) {
  const registers = [registry]
  const requests = new Counter({
    name: 'ai_requests_total', help: 'Calls of models, by what became of them.', labelNames: ['model', 'outcome'], registers
  })
  const duration = new Histogram({
    name: 'ai_request_duration_seconds', help: 'Duration of calls of models.', labelNames: ['model'], buckets: waits, registers
  })
  const retries = new Counter({ name: 'ai_retries_total', help: 'Calls of models after one that failed.', labelNames: ['model'], registers })
  const tokens = new Counter({
    name: 'ai_tokens_total', help: 'Tokens of models; those of the prompt that were cached are counted with it and apart.', labelNames: ['model', 'kind'], registers
  })
  const cost = new Counter({ name: 'ai_cost_usd_total', help: 'Cost of calls of models by list price, in USD.', labelNames: ['model'], registers })
  const queueWait = new Histogram({
    name: 'ai_queue_wait_seconds', help: 'How long calls of models waited for their leave.', buckets: [0.001, ...waits], registers
  })

  return {
    /** Counts a call of a model. */
    attempt (this: void, { model: name, outcome, usage, attempt, ms }: ModelAttempt): void {
      const model = knownName(name)
      requests.inc({ model, outcome })
      duration.observe({ model }, ms / 1000)
      if (attempt > 1) retries.inc({ model })
      tokens.inc({ model, kind: 'prompt' }, usage.promptTokens)
      tokens.inc({ model, kind: 'completion' }, usage.completionTokens)
      if (usage.cachedTokens !== undefined) tokens.inc({ model, kind: 'cached' }, usage.cachedTokens)
      const usd = usage.costUsd ?? costUsd(name, usage)
      if (usd !== undefined) cost.inc({ model }, usd)
    },

    admitted (this: void, waitedMs: number): void {
      queueWait.observe(waitedMs / 1000)
    },

    /** Reads these whenever somebody asks for the metrics. */
    watch (load: () => ModelLoad): void {
      state(registry, 'ai_queue_depth', 'Calls of models that wait for their leave.', () => load().waiting)
      state(registry, 'ai_requests_running', 'Calls of models that are out.', () => load().running)
      const open = new Gauge({
        name: 'ai_breaker_open',
        help: '1: this model does nothing but fail, and is not asked. Absent: it is up.',
        labelNames: ['model'],
        registers,
        collect () {
          open.reset()
          for (const name of load().down) open.set({ model: knownName(name) }, 1)
        }
      })
    }
  }
}
