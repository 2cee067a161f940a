import { createServer, type RequestListener } from 'node:http'
import { type AddressInfo } from 'node:net'
import { type Test } from 'tap'

/** A server on a free loopback port, made of its own address; gone after the test, or before. */
export async function startLoopback (test: Test, listenerFor: (url: string) => RequestListener): Promise<{ url: string, stop: () => void }> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  server.on('request', listenerFor(url))
  const stop = () => {
    server.closeAllConnections()
    server.close()
  }
  test.teardown(stop)
  return { url, stop }
}
