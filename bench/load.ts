import { connect } from 'node:net'

export interface Ask {
  readonly path: string
  readonly headers: Record<string, string>
  readonly body: string
}

export interface Load {
  readonly perSecond: number
  readonly count: number
  readonly p50: number
  readonly p99: number
}

export const quantile = (sorted: readonly number[], q: number) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))] ?? NaN

export const median = (values: readonly number[]) => quantile([...values].sort((a, b) => a - b), 0.5)

/** A closed loop: each caller asks again as soon as it is answered. Any answer but 2xx is a fault of the run. */
export async function closedLoop (url: string, asks: readonly Ask[], seconds: number): Promise<Load> {
  const latencies: number[] = []
  const started = performance.now()
  const until = started + seconds * 1000
  await Promise.all(asks.map(async (ask) => await caller(url, ask, until, latencies)))
  const elapsed = (performance.now() - started) / 1000
  latencies.sort((a, b) => a - b)
  return { perSecond: latencies.length / elapsed, count: latencies.length, p50: quantile(latencies, 0.5), p99: quantile(latencies, 0.99) }
}

async function caller (url: string, { path, headers, body }: Ask, until: number, latencies: number[]): Promise<void> {
  const { host, hostname, port } = new URL(url)
  const lines = Object.entries({ host, 'content-type': 'application/json', 'content-length': `${Buffer.byteLength(body)}`, ...headers })
  // A key of its own for each request, of one length.
  const head = `POST ${path} HTTP/1.1\r\n${lines.map(([name, value]) => `${name}: ${value}\r\n`).join('')}idempotency-key: `
  await new Promise<void>((resolve, reject) => {
    const socket = connect({ host: hostname, port: Number(port), noDelay: true })
    let received = ''
    let asked = 0
    const ask = () => {
      asked = performance.now()
      if (asked >= until) {
        socket.destroy()
        resolve()
        return
      }
      socket.write(`${head}${crypto.randomUUID()}\r\n\r\n${body}`)
    }
    socket.setEncoding('latin1').on('connect', ask).on('error', reject)
    socket.on('close', () => reject(new Error(`${url}: the connection was closed`)))
    socket.on('data', (chunk: string) => {
      received += chunk
      if (!isWhole(received)) return
      if (!received.startsWith('HTTP/1.1 2')) {
        socket.destroy()
        reject(new Error(`${url}${path}: ${received}`))
        return
      }
      received = ''
      latencies.push(performance.now() - asked)
      ask()
    })
  })
}

function isWhole (answer: string): boolean {
  const head = answer.indexOf('\r\n\r\n')
  if (head === -1) return false
  const length = /\r\ncontent-length: (\d+)/i.exec(answer.slice(0, head))?.[1]
  return length === undefined ? answer.endsWith('0\r\n\r\n') : answer.length >= head + 4 + Number(length)
}
