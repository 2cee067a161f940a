/** One number of the exposition format. */
export interface Sample {
  readonly name: string
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
}

/** What a server tells at `/metrics`. */
export async function readMetrics (url: string): Promise<Sample[]> {
  const text = await (await fetch(`${url}/metrics`)).text()
  return [...text.matchAll(/^([a-z_]+)(?:\{(.*)\})? (\S+)$/gm)].map(([, name, labels = '', value]) => ({
    name: name!,
    labels: Object.fromEntries([...labels.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)].map(([, key, text]) => [key!, text!])),
    value: Number(value)
  }))
}

const fits = (labels: Sample['labels'], wanted: Sample['labels']) => Object.entries(wanted).every(([name, value]) => labels[name] === value)

/** The sum over all that have these labels; 0 where there are none. */
export function valueOf (samples: readonly Sample[], name: string, labels: Sample['labels'] = {}): number {
  return samples.filter((sample) => sample.name === name && fits(sample.labels, labels)).reduce((sum, { value }) => sum + value, 0)
}

export function labelsOf (samples: readonly Sample[], name: string): Array<Sample['labels']> {
  return samples.filter((sample) => sample.name === name).map(({ labels }) => labels)
}
