import { Gauge, type Registry } from 'prom-client'

/** A number that is read whenever somebody asks for the metrics. */
export function state (registry: Registry, name: string, help: string, read: () => number): Gauge {
  return new Gauge({ name, help, registers: [registry], collect () { this.set(read()) } })
}
