import { Counter, Histogram, type Registry } from 'prom-client'

/** The part of the driver's client that tells of commands. */
interface CommandSource {
  on (event: 'commandSucceeded' | 'commandFailed', listener: (event: { readonly commandName: string, readonly duration: number }) => void): unknown
}

const named = new Set(['find', 'getMore', 'aggregate', 'count', 'distinct', 'insert', 'update', 'delete', 'findAndModify', 'bulkWrite', 'ping'])

/** Measures every command of the store. The driver counts whole milliseconds. */
export function storeMetrics (registry: Registry, client: CommandSource): void {
  const duration = new Histogram({
    name: 'store_command_duration_seconds',
    help: 'Duration of commands of the store, in whole milliseconds.',
    labelNames: ['command'],
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5],
    registers: [registry]
  })
  const failures = new Counter({
    name: 'store_command_failures_total', help: 'Commands of the store that failed.', labelNames: ['command'], registers: [registry]
  })
  const nameOf = (name: string) => named.has(name) ? name : 'other'
  client.on('commandSucceeded', ({ commandName, duration: ms }) => duration.observe({ command: nameOf(commandName) }, ms / 1000))
  client.on('commandFailed', ({ commandName, duration: ms }) => {
    duration.observe({ command: nameOf(commandName) }, ms / 1000)
    failures.inc({ command: nameOf(commandName) })
  })
}
