import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import t from 'tap'
import { startApp } from '../helper.ts'

// Hundreds of peers that send or take a few bytes at a time, so as to hold all that a server has.

const run = promisify(execFile)
const CONNECTIONS = 300
const isThere = await run('slowhttptest', ['-h']).then(() => true, ({ code }) => code !== 'ENOENT')

const attacks = {
  headers: ['-H', '/health/live'],
  body: ['-B', '/api/auth/login', '-f', 'application/json', '-s', '8192'],
  // The largest answer that everybody can have.
  reading: ['-X', '/openapi.json', '-w', '1', '-y', '64', '-n', '1', '-z', '5']
}

t.test('hundreds of slow peers are sent away, and others are served meanwhile', { skip: !isThere && 'needs slowhttptest' }, async (t) => {
  const { app, client } = await startApp(t, {}, { bodyMs: 3000, unreadMs: 3000 })
  const session = await client.converse()
  const connections = promisify(app.server.getConnections.bind(app.server))
  for (const [name, [mode, path, ...options]] of Object.entries(attacks)) {
    const limits = ['-c', String(CONNECTIONS), '-r', String(CONNECTIONS), '-i', '1', '-l', '60', '-p', '5']
    const attack = run('slowhttptest', [mode!, '-u', client.url + path!, ...limits, ...options])
    const statuses = new Set<number>()
    let [most, left, slowest] = [0, Infinity, 0]
    while (most < CONNECTIONS || left > CONNECTIONS / 10) {
      const from = performance.now()
      statuses.add((await client.ask(`/api/sessions/${session}/messages`, { body: { message: 'Still there?' } })).status)
      slowest = Math.max(slowest, performance.now() - from)
      left = await connections()
      most = Math.max(most, left)
    }
    t.strictSame([...statuses], [200], `${name}: others are served`)
    t.comment(`${name}: ${most} connections, ${left} in the end; the slowest turn meanwhile took ${slowest.toFixed(0)} ms`)
    attack.child.kill()
    const { stdout } = await attack.catch((failure: unknown) => failure as { stdout: string })
    t.notMatch(stdout, 'Hit test time limit', 'and the slow ones sent away by the server')
  }
})
