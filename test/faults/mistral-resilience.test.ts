import { getEventListeners } from 'node:events'
import t, { type Test } from 'tap'
import { type AttemptReport } from '../../src/llm/mistral/attempt-report.ts'
import { type MistralOptions, type MistralProvider } from '../../src/llm/mistral/mistral-client.ts'
import { type Sim, type SimOptions, startSim } from '../../src/mistral-sim/index.ts'
import { ask, codeOf, connect, drain } from '../llm/mistral-upstream.ts'

const forever = new AbortController().signal
// As in production, a hundred times as fast.
const quick = { attempts: 3, baseMs: 5, limiterWindowMs: 10 }

interface Meeting { provider: MistralProvider, sim: Sim, reports: AttemptReport[] }

async function meet (t: Test, simOptions: SimOptions, options: Partial<MistralOptions> = {}): Promise<Meeting> {
  const sim = await startSim({ strict: true, ...simOptions })
  t.teardown(async () => await sim.close())
  const { provider } = connect(t, sim.url, { timeoutMs: 60_000, maxConcurrency: 64, breaker: { failures: 10 }, retry: quick, ...options })
  const reports: AttemptReport[] = []
  provider.attempts.on('attempt', (report) => { reports.push(report) })
  return { provider, sim, reports }
}

/** Generations by callers side by side, streamed and whole in turn; the code of each, undefined for a complete one. */
async function talk (provider: MistralProvider, count: number, callers: number): Promise<Array<string | undefined>> {
  const codes: Array<string | undefined> = []
  let next = 0
  await Promise.all(Array.from({ length: callers }, async () => {
    while (next < count) {
      const index = next++
      const request = { ...ask(`question ${index}`), tenantId: `tenant ${index % 7}` }
      codes[index] = codeOf(await drain(provider.generate(request, { stream: index % 2 === 0, signal: forever })))
    }
  }))
  return codes
}

const completeOf = (codes: Array<string | undefined>): number => codes.filter((code) => code === undefined).length

t.test('calls that fail at random are repeated until they succeed', async (t) => {
  for (const [share, required, most] of [[0.15, 990, 1.3], [0.3, 960, 1.5]] as const) {
    for (const callers of [32, 1000]) {
      const { provider, sim, reports } = await meet(t, { seed: 5 }, { maxConcurrency: 256 })
      const faults = [{ status: { code: 429 } }, { status: { code: 500 } }, { reset: { at: 'request' as const } }]
      sim.script([{ probability: share, times: 'always', fault: faults }])
      const complete = completeOf(await talk(provider, 1000, callers))
      const average = reports.length / 1000
      t.comment(`${share * 100} % fail, ${callers} callers: ${complete} of 1000 complete, ${average} attempts on average`)
      t.ok(complete >= required, `${complete} of 1000 complete`)
      t.ok(average <= most)
      t.ok(reports.every(({ attempt }) => attempt <= 3))
    }
  }
})

t.test('a limiter teaches its rate, and all callers come through', async (t) => {
  for (const [maxConcurrency, retryAfter] of [[256, 'none'], [16, 'seconds']] as const) {
    const limits = { requestsPerSecond: 10, retryAfter }
    const { provider, reports } = await meet(t, { limits }, { maxConcurrency, retry: { attempts: 3 } })
    const complete = completeOf(await talk(provider, 60, 60))
    const refused = reports.filter(({ outcome }) => outcome === 'upstream_rate_limited').length
    t.comment(`60 callers, 10 a second, ${maxConcurrency} at once, retry-after ${retryAfter}: ${refused} refused`)
    t.equal(complete, 60)
    // Before the first refusal nobody can know: what is out then beyond ten is refused. Where a slow machine spreads those over
    // two windows, some of the next are too; without the lesson it would be twice as many, and some would not come through.
    t.ok(refused <= Math.min(60, maxConcurrency) * 1.5, `${refused} refused`)
  }
})

t.test('the budget told in headers is hardly overdrawn', async (t) => {
  for (const headers of ['new', 'old'] as const) {
    const limits = { tokensPerMinute: 3000, headers, retryAfter: 'seconds' as const }
    const { provider, reports } = await meet(t, { limits }, { maxConcurrency: 16, timeoutMs: 2000 })
    const codes = await talk(provider, 400, 16)
    const refused = reports.filter(({ outcome }) => outcome === 'upstream_rate_limited').length
    t.comment(`3,000 tokens a minute, ${headers} headers: ${completeOf(codes)} complete, ${refused} of ${reports.length} refused`)
    t.ok(codes.includes('upstream_rate_limited'), 'the budget came to its end')
    // What a reply costs is known when it is over: less than what is in flight at the end is refused.
    t.ok(refused < 16, `${refused} refused`)
  }
})

t.test('while the breaker is open, next to no call reaches the upstream', async (t) => {
  const { provider, sim, reports } = await meet(t, {}, { retry: { ...quick, baseMs: 1 } })
  sim.script([{ times: 'always', fault: { status: { code: 500 } } }])
  await talk(provider, 40, 4)
  const before = reports.length
  t.ok(before < 40, `${before} calls until it opened`)
  const codes = await talk(provider, 1000, 50)
  t.ok(codes.every((code) => code === 'upstream_unavailable'))
  t.ok(reports.length - before < 10, `${reports.length - before} of 1000 reached it`)
})

t.test('a model that is back is found out by one call', async (t) => {
  const { provider, sim } = await meet(t, {}, { breaker: { failures: 10, openMs: 50 }, retry: { ...quick, baseMs: 1 } })
  sim.script([{ times: 'always', fault: { reset: { at: 'request' } } }])
  await talk(provider, 40, 4)
  sim.reset()
  let refused = 0
  while ((await talk(provider, 1, 1))[0] !== undefined) {
    refused++
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
  t.ok(refused > 0)
  t.equal(sim.requests().length, 1)
  t.equal(completeOf(await talk(provider, 100, 50)), 100)
})

t.test('a busy tenant does not delay another one', async (t) => {
  const { provider, sim } = await meet(t, { cadence: { firstDelayMs: 5 } }, { maxConcurrency: 4 })
  const busy = Array.from({ length: 500 }, async () =>
    await drain(provider.generate({ ...ask('busy'), tenantId: 'busy' }, { stream: false, signal: forever })))
  await drain(provider.generate({ ...ask('quiet'), tenantId: 'quiet' }, { stream: false, signal: forever }))
  const place = sim.requests().findIndex(({ rawBody }) => rawBody.includes('quiet'))
  t.ok(place <= 5, `it was the ${place + 1}. of 501 that went out`)
  await Promise.all(busy)
  t.equal(sim.requests().length, 501)
})

t.test('1,000 aborted streams leave no socket, timer or listener behind', async (t) => {
  const { provider, sim } = await meet(t, { cadence: { chunkDelayMs: 20 } })
  await talk(provider, 1, 1)
  const resources = (): string[] => process.getActiveResourcesInfo().filter((name) => name !== 'Immediate').sort()
  const settled = async (): Promise<void> => {
    await sim.idle()
    for (let i = 0; i < 20; i++) await new Promise(setImmediate)
  }
  await settled()
  const before = resources()
  const reason = new Error('stopped')
  let index = 0
  const signals: AbortSignal[] = []
  const reasons = new Set<unknown>()
  await Promise.all(Array.from({ length: 100 }, async () => {
    for (let i = 0; i < 10; i++) {
      const stop = new AbortController()
      signals.push(stop.signal)
      // Some in the line, some before the head, some within the answer.
      const texts = index++ % 3
      const events = provider.generate(ask('word '.repeat(50)), { stream: true, signal: stop.signal })[Symbol.asyncIterator]()
      const next = events.next()
      if (texts === 0) setImmediate(() => stop.abort(reason))
      else for (let j = 0; j < texts; j++) await (j === 0 ? next : events.next())
      stop.abort(reason)
      await (texts === 0 ? next : events.next()).catch((error: unknown) => { reasons.add(error) })
    }
  }))
  t.strictSame([...reasons], [reason])
  await settled()
  const sockets = (names: string[]): number => names.filter((name) => name.startsWith('TCPSocket')).length
  const timers = (names: string[]): number => names.filter((name) => name === 'Timeout').length
  const after = resources()
  t.ok(sockets(after) <= sockets(before), `${sockets(after)} sockets, ${sockets(before)} before`)
  t.ok(timers(after) <= timers(before), `${timers(after)} timers, ${timers(before)} before`)
  t.ok(signals.every((signal) => getEventListeners(signal, 'abort').length === 0))
  t.equal(completeOf(await talk(provider, 64, 64)), 64, 'and all slots are free')
})
