import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { readFile, stat } from 'node:fs/promises'
import { createServer, type AddressInfo } from 'node:net'
import { join } from 'node:path'
import t from 'tap'
import { buildApp } from '../../src/app.ts'
import { newApiKey } from '../../src/auth/api-key.ts'
import { loadConfig } from '../../src/config.ts'
import { startFailure } from '../../src/start-failure.ts'
import { startCollector } from '../error-collector.ts'
import { databaseName, storeUri, temporaryFolder } from '../helper.ts'
import { paste, ServerProcess, type Pasted } from '../server-process.ts'

// Most of the time these wait for processes.
t.jobs = 4

t.test('the first start on an empty folder, and all that comes after it', async (t) => {
  const dataDir = join(await temporaryFolder(t), 'data')
  const first = new ServerProcess(t, { DATA_DIR: dataDir, PORT: '0' })
  const url = await first.serving()
  const key = (await readFile(join(dataDir, 'api-key'), 'utf8')).trim()

  t.match(first.logged('serving'), { store: `embedded in ${dataDir}, for one machine`, model: 'offline', docs: `${url}/docs` })
  t.equal((await stat(join(dataDir, 'api-key'))).mode & 0o777, 0o600)
  const greeting = await first.greeting()
  t.match(first.stdout, `An admin key was made: ${key}\n`)
  t.equal(greeting.split('\n').length, 3)
  const { reply, botMessage } = await paste(greeting)
  t.match(reply, 'Orders ship within two days.', 'the printed lines hold a conversation')
  t.equal(botMessage.model, 'offline-extractive')

  const [twin, crowded] = await Promise.all([
    new ServerProcess(t, { DATA_DIR: dataDir, PORT: '0' }).ended,
    new ServerProcess(t, { MONGODB_URI: await storeUri(), MONGODB_DATABASE: databaseName(), BOOTSTRAP_API_KEY: newApiKey(), PORT: new URL(url).port }).ended
  ])
  t.equal(twin.code, 1, 'a second process on the same folder is refused')
  t.match(twin.stderr, /^[^\n]*in use[^\n]*\n$/)
  t.equal(twin.stdout, '')
  t.equal(crowded.code, 1, 'a port that is taken is refused')
  t.match(crowded.stderr, /^PORT[^\n]*\n$/)

  const client = await first.client(key)
  const answered = await client.ask<Pasted>(`/api/sessions/${botMessage.sessionId}/messages`, { body: { message: 'Are returns free?' } })
  await first.end('SIGKILL')
  t.equal(answered.status, 200)

  const second = new ServerProcess(t, { DATA_DIR: dataDir, PORT: '0' })
  const again = await second.client(key)
  t.match(await second.greeting(), join(dataDir, 'api-key'))
  t.notMatch(second.stdout, key, 'a key is shown once')
  const session = await again.ask(`/api/sessions/${botMessage.sessionId}`)
  t.match(session.body, { messageCount: 4 })
  t.equal((await again.ask(`/api/configs/${String(session.body['configId'])}`)).status, 200)
  const history = await again.ask<{ data: unknown[] }>(`/api/sessions/${botMessage.sessionId}/messages`)
  t.match(history.body.data, [{ seq: 1 }, { content: reply }, { content: 'Are returns free?' }, answered.body.botMessage])
  t.equal(history.body.data.length, 4, 'nothing that was answered is lost')
  const { code, stderr } = await second.end('SIGINT')
  t.equal(code, 0)
  t.equal(stderr, '')
})

t.test('a start that cannot be is refused in one line', async (t) => {
  const dataDir = await temporaryFolder(t)
  const cases: Array<[string, Record<string, string>, RegExp]> = [
    ['production on an empty store without a key', { NODE_ENV: 'production', DATA_DIR: dataDir }, /^BOOTSTRAP_API_KEY must be set/],
    ['production with an empty secret', { NODE_ENV: 'production', JWT_SECRET: '' }, /^JWT_SECRET cannot be used/],
    ['production with a secret of an example', { NODE_ENV: 'production', JWT_SECRET: 'changeme'.repeat(4) }, /^JWT_SECRET cannot be used/],
    ['production with a key of an example', { NODE_ENV: 'production', BOOTSTRAP_API_KEY: `pk_00000000_${'0'.repeat(32)}` }, /^BOOTSTRAP_API_KEY cannot be used/],
    ['a bad variable', { JWT_SECRET: 'too-short-a-secret' }, /^JWT_SECRET cannot be used/],
    ['production over a network without encryption', { NODE_ENV: 'production', MONGODB_URI: 'mongodb://db.example' }, /^MONGODB_URI cannot be used .*ALLOW_PLAINTEXT=database/],
    ['a certificate that is not there', { TLS_CERT: dataDir, TLS_KEY: dataDir }, /^TLS_CERT cannot be used/]
  ]
  await Promise.all(cases.map(async ([name, env, expected]) => {
    const { code, stdout, stderr } = await new ServerProcess(t, { PORT: '0', ...env }).ended
    t.equal(code, 1, name)
    t.match(stderr, expected)
    t.match(stderr, /^[^\n]+\n$/)
    t.equal(stdout, '')
    t.notMatch(stderr, 'too-short-a-secret')
  }))
})

t.test('what a start fails with names the variable to look at', async (t) => {
  const gone = createServer().listen(0, '127.0.0.1')
  await once(gone, 'listening')
  const { port } = gone.address() as AddressInfo
  await new Promise((resolve) => gone.close(resolve))
  const failureOf = async (env: Record<string, string>) =>
    await buildApp(loadConfig(env)).then(() => 'it started', startFailure)
  t.match(await failureOf({ MONGODB_URI: `mongodb://someone:hidden@127.0.0.1:${port}/` }), /^MONGODB_URI cannot be used \((?!.*hidden)/)
  t.match(await failureOf({ DATA_DIR: import.meta.filename }), /^DATA_DIR cannot be used/)
  t.equal(startFailure(new Error('two\n  lines')), 'Parley cannot start: two lines')
})

const oldNode = '/usr/bin/node'

function isTooOld (node: string): boolean {
  try {
    return Number(/^v(\d+)/.exec(execFileSync(node, ['--version'], { encoding: 'utf8', env: {} }))?.[1]) < 24
  } catch {
    return false
  }
}

t.test('what ends a process is reported', async (t) => {
  const { dsn, events } = await startCollector(t)
  const taken = createServer()
  t.teardown(() => taken.close())
  await once(taken.listen(0, '127.0.0.1'), 'listening')
  const env = { SENTRY_DSN: dsn, DATA_DIR: await temporaryFolder(t) }
  const crowded = await new ServerProcess(t, { ...env, PORT: String((taken.address() as AddressInfo).port) }).ended
  t.equal(crowded.code, 1)
  t.match(events(), [{ tags: { work: 'start' }, exception: { values: [{ value: /EADDRINUSE/ }] } }])

  const rejecting = 'data:text/javascript,import { once } from "node:events";once(process, "SIGCONT").then(() => { throw new RangeError("nobody catches this") })'
  const server = new ServerProcess(t, { ...env, PORT: '0', NODE_OPTIONS: `--import=${encodeURI(rejecting).replaceAll("'", '%27')}` })
  await server.serving()
  t.equal((await server.end('SIGCONT')).code, 1)
  t.match(events()[1], { tags: { work: 'closing after an error' }, exception: { values: [{ type: 'RangeError', value: 'nobody catches this' }] } })
})

t.test('a Node that is too old is told in one line', { skip: !isTooOld(oldNode) && `${oldNode} is no older Node` }, async (t) => {
  const { code, stdout, stderr } = await new ServerProcess(t, { NODE_OPTIONS: '' }, { command: [oldNode] }).ended
  t.equal(code, 1)
  t.match(stderr, /^Parley needs Node 24\.\d+ or newer; this is v\d+[^\n]*\n$/)
  t.equal(stdout, '')
})

t.test('who serves while nobody reads its log any more goes on, and ends when it is told to', async (t) => {
  const key = newApiKey()
  const server = new ServerProcess(t, { DATA_DIR: await temporaryFolder(t), BOOTSTRAP_API_KEY: key, PORT: '0' })
  const client = await server.client(key)
  server.child.stdout!.destroy()
  for (let i = 0; i < 20; i++) t.equal((await client.ask('/api/configs')).status, 200)
  t.equal((await server.end()).code, 0)
})
