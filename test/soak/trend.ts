/** What a process held at one moment. */
export interface Sample {
  readonly minute: number
  readonly residentMb: number
  readonly heapMb: number
  readonly handles: number
}

const number = (exposition: string, name: string) => Number(new RegExp(`^${name}(?:\\{[^}]*\\})? (\\S+)$`, 'm').exec(exposition)?.[1])

/** Reads a sample from what `/metrics` answers. */
export function sampleOf (exposition: string, minute: number): Sample {
  return {
    minute,
    residentMb: number(exposition, 'process_resident_memory_bytes') / 1e6,
    heapMb: number(exposition, 'nodejs_heap_size_used_bytes') / 1e6,
    handles: number(exposition, 'nodejs_active_handles_total')
  }
}

type Member = Exclude<keyof Sample, 'minute'>

export function median (samples: readonly Sample[], member: Member): number {
  return samples.map((sample) => sample[member]).toSorted((a, b) => a - b)[samples.length >> 1]!
}

/** How much something grows in a minute, by the least squares. */
export function slope (samples: readonly Sample[], member: Member): number {
  const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length
  const [x, y] = [mean(samples.map(({ minute }) => minute)), mean(samples.map((sample) => sample[member]))]
  const covariance = mean(samples.map((sample) => (sample.minute - x) * (sample[member] - y)))
  return covariance / mean(samples.map(({ minute }) => (minute - x) ** 2))
}
