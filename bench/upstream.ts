import { once } from 'node:events'
import { createServer, type Socket } from 'node:net'

const REPLY = JSON.stringify({
  id: 'cmpl-1',
  object: 'chat.completion',
  created: 1,
  model: 'mistral-small-latest',
  choices: [{ index: 0, finish_reason: 'stop', message: { role: 'assistant', content: 'I am well, thank you. And how are you?' } }],
  usage: { prompt_tokens: 20, completion_tokens: 12, total_tokens: 32 }
})
const ANSWER = `HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: ${REPLY.length}\r\n\r\n${REPLY}`

export interface Upstream {
  readonly url: string
  /** Milliseconds before each answer. */
  delayMs: number
  /** Calls answered so far. */
  calls: number
  close (): Promise<void>
}

/** A model that always says the same. It reads no more of HTTP than it needs, so as not to be what is measured. */
export async function startUpstream (): Promise<Upstream> {
  const sockets = new Set<Socket>()
  const server = createServer({ noDelay: true }, (socket) => {
    sockets.add(socket)
    let received = ''
    socket.on('close', () => sockets.delete(socket)).on('error', () => socket.destroy())
    socket.setEncoding('latin1').on('data', (chunk: string) => {
      received += chunk
      for (let end = requestEnd(received); end !== undefined; end = requestEnd(received)) {
        received = received.slice(end)
        upstream.calls++
        if (upstream.delayMs === 0) socket.write(ANSWER)
        else setTimeout(() => socket.write(ANSWER), upstream.delayMs)
      }
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const upstream: Upstream = {
    url: `http://127.0.0.1:${(server.address() as { port: number }).port}`,
    delayMs: 0,
    calls: 0,
    async close () {
      for (const socket of sockets) socket.destroy()
      server.close()
      await once(server, 'close')
    }
  }
  return upstream
}

/** Where the first request in a text ends; undefined when it is not whole yet. */
function requestEnd (text: string): number | undefined {
  const head = text.indexOf('\r\n\r\n')
  if (head === -1) return undefined
  if (/\r\ntransfer-encoding: chunked/i.test(text.slice(0, head))) {
    const last = text.indexOf('\r\n0\r\n\r\n', head)
    return last === -1 ? undefined : last + 7
  }
  const end = head + 4 + Number(/\r\ncontent-length: (\d+)/i.exec(text.slice(0, head))?.[1] ?? 0)
  return text.length >= end ? end : undefined
}
