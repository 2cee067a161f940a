import { writeSync } from 'node:fs'
import { buildApp } from '../src/app.ts'
import { ensureFirstKey } from '../src/auth/first-key.ts'
import { loadConfig } from '../src/config.ts'

/**
 * The real server, which can be told to die as if it were killed. `CRASH_AT` says when, as
 * `<phase> <command> <collection> <n>`: at the n-th such command to the store, from the signal SIGUSR2 on. The phase is
 * `before` it is sent, when it is `sent`, or `after` its reply. A `bulkWrite`, which is over several collections, says `1` for one.
 * With `RETENTION=now`, retention runs from then on, too.
 */
const config = loadConfig(process.env)
const app = await buildApp(config, { logger: { level: 'info' } })
await ensureFirstKey(config, app.store.apiKeys)

const [phase, command, collection, n] = process.env['CRASH_AT']?.split(' ') ?? []
const die = () => {
  writeSync(2, 'dying as told\n')
  process.kill(process.pid, 'SIGKILL')
}
const unanswered = new Set<number>()
let left = Infinity

process.on('SIGUSR2', () => {
  left = Number(n)
  app.log.info('armed')
  if (process.env['RETENTION'] === 'now') void app.retention.run()
})
app.mongo.client.on('commandStarted', (event) => {
  if (event.commandName !== command || String(event.command[command]) !== collection) return
  unanswered.add(event.requestId)
  if (phase === 'after' || --left > 0) return
  if (phase === 'before') die()
  else setImmediate(die)
})
app.mongo.client.on('commandSucceeded', ({ requestId }) => {
  if (unanswered.delete(requestId) && phase === 'after' && --left <= 0) die()
})

const url = await app.listen({ port: config.PORT, host: config.HOST })
app.log.info({ docs: `${url}/docs` }, 'serving')
