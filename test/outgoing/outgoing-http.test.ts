import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { createServer, type RequestListener } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import { type AddressInfo, createServer as createTcpServer } from 'node:net'
import { join } from 'node:path'
import { getCACertificates, setDefaultCACertificates, type TLSSocket } from 'node:tls'
import { setImmediate } from 'node:timers/promises'
import { promisify } from 'node:util'
import t, { type Test } from 'tap'
import { Networks, parseNetworks } from '../../src/outgoing/networks.ts'
import { OutgoingHttp, type Outcome } from '../../src/outgoing/outgoing-http.ts'
import { temporaryFolder } from '../helper.ts'
import { startNameServer } from './name-server.ts'
import { specialHosts, wrongUrls } from './special-hosts.ts'

interface Given { allowed?: string, needsTls?: boolean, nameServers?: string[], totalMs?: number }

function client (test: Test, { allowed = '', needsTls = false, ...rest }: Given = {}): OutgoingHttp {
  const http = new OutgoingHttp({ networks: new Networks(parseNetworks(allowed)!), needsTls, totalMs: 500, ...rest })
  test.teardown(async () => await http.close())
  return http
}

async function listen (test: Test, listener: RequestListener = (_request, response) => { response.end('in') }) {
  const server = createServer(listener)
  let connections = 0
  server.on('connection', () => { connections++ })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  test.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  return { port: (server.address() as AddressInfo).port, connections: () => connections }
}

/** A certificate that vouches for itself. */
async function certificateOf (test: Test, name: string): Promise<{ key: string, cert: string }> {
  const folder = await temporaryFolder(test)
  const [key, cert] = [join(folder, 'key.pem'), join(folder, 'cert.pem')]
  await promisify(execFile)('openssl', [
    'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', key, '-out', cert, '-days', '2',
    '-subj', `/CN=${name}`, '-addext', `subjectAltName=DNS:${name}`
  ])
  return { key: await readFile(key, 'utf8'), cert: await readFile(cert, 'utf8') }
}

const post = async (http: OutgoingHttp, url: string, signal?: AbortSignal): Promise<Outcome> =>
  await http.post({ url, headers: {}, body: '{}', ...(signal && { signal }) })

t.test('no notation of a special address is asked for', async (t) => {
  const http = client(t)
  for (const host of specialHosts) {
    const url = `http://${host}/`
    t.match(await http.objectionTo(url), /may not be reached/, host)
    t.match(await post(http, url), { status: null, reason: 'refused' }, host)
  }
  for (const url of wrongUrls) {
    t.type(await http.objectionTo(url), 'string', url)
    t.match(await post(http, url), { status: null, reason: 'refused' }, url)
  }
  for (const host of ['8.8.8.8', '[2606:4700::1111]']) t.equal(await http.objectionTo(`http://${host}/`), undefined, host)
})

t.test('a name that changes its address, or has two, opens nothing', async (t) => {
  const { port, connections } = await listen(t)
  let turn = 0
  const { address, asked } = await startNameServer(t, (name) => {
    if (name === 'both.test') return ['93.184.216.34', '127.0.0.1']
    if (name === 'late.test') return turn++ === 0 ? ['93.184.216.34'] : ['127.0.0.1']
    return []
  })
  const http = client(t, { nameServers: [address] })
  t.equal(await http.objectionTo(`http://late.test:${port}/`), undefined, 'at first it is public')
  t.match(await post(http, `http://late.test:${port}/`), { reason: 'refused' }, 'and is looked at again when it is asked')
  t.match(await post(http, `http://both.test:${port}/`), { reason: 'refused' })
  t.match(await post(http, `http://nobody.test:${port}/`), { reason: 'unknown_host' })
  t.equal(connections(), 0)
  t.equal(asked.filter((name) => name === 'late.test').length, 2)
})

t.test('the connection goes to the address that was checked, and not to the name', async (t) => {
  const { port, connections } = await listen(t)
  let turn = 0
  const { address, asked } = await startNameServer(t, () => turn++ === 0 ? ['127.0.0.1'] : ['127.0.0.2'])
  const http = client(t, { nameServers: [address], allowed: '127.0.0.1/32' })
  t.match(await post(http, `http://once.test:${port}/`), { status: 200, text: 'in' })
  await setImmediate()
  t.match(await post(http, `http://once.test:${port}/`), { status: 200, text: 'in' })
  t.equal(asked.length, 1, 'the name is asked for once')
  t.equal(connections(), 1, 'a connection that is kept stays where it is')
})

t.test('an answer is not followed, and read for a kilobyte and for a time', async (t) => {
  const aim = await listen(t)
  const { port } = await listen(t, ({ url }, response) => {
    if (url === '/redirect') response.writeHead(307, { location: `http://127.0.0.1:${aim.port}/`, 'retry-after': '7' }).end('elsewhere')
    else if (url === '/endless') setInterval(() => response.write('x'.repeat(10_000)), 1).unref()
    else if (url === '/drip') response.write('x')
    else if (url === '/cut') response.writeHead(200, { 'content-length': '100' }).write('half', () => response.destroy())
    // Anything else is never answered.
  })
  const raw = createTcpServer((socket) => { socket.end('SSH-2.0-x\r\n') })
  raw.listen(0, '127.0.0.1')
  await once(raw, 'listening')
  t.teardown(() => { raw.close() })
  const http = client(t, { allowed: '127.0.0.1/32' })
  const at = (path: string) => `http://127.0.0.1:${port}${path}`
  t.match(await post(http, at('/redirect')), { status: 307, retryAfter: '7', text: 'elsewhere' })
  t.equal(aim.connections(), 0)
  t.match(await post(http, at('/endless')), { status: 200, text: 'x'.repeat(1024) })
  t.match(await post(http, at('/drip')), { status: 200, text: 'x' }, 'what does not end counts all the same')
  t.match(await post(http, at('/cut')), { status: 200, text: 'half' })
  t.match(await post(http, at('/never')), { status: null, reason: 'timed_out' })
  t.match(await post(http, at('/never'), AbortSignal.timeout(20)), { status: null, reason: 'dropped' })
  t.match(await post(http, `http://127.0.0.1:${(raw.address() as AddressInfo).port}/`), { status: null, reason: 'broken' })
  t.match(await post(http, 'http://127.0.0.1:9/'), { status: null, reason: 'unreachable' })
  t.match(await post(http, `https://127.0.0.1:${port}/`), { status: null, reason: 'tls_failed' })
})

t.test('the time is for all of it, from the name on', async (t) => {
  const { address, asked } = await startNameServer(t, () => undefined)
  const http = client(t, { nameServers: [address], allowed: '127.0.0.1/32', totalMs: 50 })
  t.match(await post(http, 'http://slow.test/'), { status: null, reason: 'timed_out' })
  t.match(await post(http, 'http://slower.test/', AbortSignal.timeout(10)), { status: null, reason: 'dropped' })
  t.strictSame(asked, ['slow.test', 'slower.test'], 'before either is asked for again')
})

t.test('those who hang do not hold up others of the same host', async (t) => {
  const { port } = await listen(t, ({ url }, response) => { if (url === '/well') response.end('well') })
  const http = client(t, { allowed: '127.0.0.1/32', totalMs: 60_000 })
  const dropped = new AbortController()
  const hanging = Array.from({ length: 100 }, async () => await post(http, `http://127.0.0.1:${port}/hangs`, dropped.signal))
  t.match(await post(http, `http://127.0.0.1:${port}/well`), { status: 200, text: 'well' })
  dropped.abort()
  t.ok((await Promise.all(hanging)).every(({ status }) => status === null))
})

t.test('a certificate must be that of the name, whose address was connected to', async (t) => {
  const { key, cert } = await certificateOf(t, 'right.test')
  const authorities = getCACertificates()
  setDefaultCACertificates([...authorities, cert])
  t.teardown(() => { setDefaultCACertificates(authorities) })
  const asked: unknown[] = []
  const server = createTlsServer({ key, cert }, ({ headers, socket }, response) => {
    asked.push(headers.host, (socket as TLSSocket).servername)
    response.end('in')
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  const { port } = server.address() as AddressInfo
  const { address } = await startNameServer(t, () => ['127.0.0.1'])
  const http = client(t, { nameServers: [address], allowed: '127.0.0.1/32' })
  t.match(await post(http, `https://right.test:${port}/`), { status: 200, text: 'in' })
  t.match(await post(http, `https://right.test.:${port}/`), { status: 200, text: 'in' })
  for (const host of ['wrong.test', '127.0.0.1']) t.match(await post(http, `https://${host}:${port}/`), { status: null, reason: 'tls_failed' }, host)
  t.strictSame(asked, [`right.test:${port}`, 'right.test', `right.test.:${port}`, 'right.test'], 'and it is told who is meant')
})

t.test('what is public is only reached encrypted, where that is asked for', async (t) => {
  const { port } = await listen(t)
  const http = client(t, { needsTls: true, allowed: '127.0.0.0/8' })
  t.match(await http.objectionTo('http://8.8.8.8/'), /use https/)
  t.equal(await http.objectionTo('https://8.8.8.8/'), undefined)
  t.match(await post(http, `http://127.0.0.1:${port}/`), { status: 200 }, 'but networks that were named as they are')
})
