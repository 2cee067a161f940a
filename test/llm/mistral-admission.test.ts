import { getEventListeners } from 'node:events'
import t from 'tap'
import { type ApiError } from '../../src/errors.ts'
import { Admission, type Entry, type Permit } from '../../src/llm/mistral/admission/admission.ts'
import { type ModelLimits } from '../../src/llm/mistral/admission/model-state.ts'

const forever = new AbortController().signal
const noBudget = { remaining: Infinity, resetMs: undefined }
const HOUR = 3_600_000

// The client's own deadlines do this elsewhere.
const alive = setInterval(() => {}, HOUR)
t.teardown(() => clearInterval(alive))

type Ask = Partial<Omit<Entry, 'model'>> & { model?: string }

/** Slots to ask for, and the order in which they were given: the names of the tenants. */
function open (slots: number, { breaker, gate }: { [K in keyof ModelLimits]?: Partial<ModelLimits[K]> } = {}) {
  const admission = new Admission(slots, {
    breaker: { failures: 3, openMs: HOUR, ...breaker },
    gate: { limiterWindowMs: 10, baseMs: 10, random: () => 0.5, ...gate }
  })
  const order: string[] = []
  const enter = async ({ model = 'm', ...ask }: Ask = {}): Promise<Permit> => {
    const entry = { tenantId: 'a', signal: forever, deadline: performance.now() + HOUR, delayMs: 0, attempt: 1, ...ask }
    const permit = await admission.enter({ ...entry, model: admission.modelState(model) })
    order.push(entry.tenantId)
    return permit
  }
  /** Enters and leaves as soon as it may. */
  const pass = async (ask?: Ask): Promise<void> => {
    const permit = await enter(ask)
    permit.passed(noBudget)
    permit.end('up')
    permit.release()
  }
  return { enter, pass, order }
}

const codeOf = async (entering: Promise<unknown>): Promise<string> =>
  await entering.then(() => 'entered', (error: unknown) => (error as ApiError).code)
const later = async (): Promise<void> => { await new Promise(setImmediate) }

t.test('no more calls go out than there are slots, and a slot that comes free goes to who waits', async (t) => {
  const { enter, pass, order } = open(2)
  const [first] = await Promise.all([enter({ tenantId: 'a' }), enter({ tenantId: 'b' })])
  const third = pass({ tenantId: 'c' })
  await later()
  t.strictSame(order, ['a', 'b'])
  first.release()
  await third
  t.strictSame(order, ['a', 'b', 'c'])
})

t.test('tenants take turns, and within a tenant the first comes first, one who is back before all', async (t) => {
  const { enter, pass, order } = open(1)
  const running = await enter({ tenantId: 'x' })
  const waiting = [
    ...Array.from({ length: 500 }, async () => await pass({ tenantId: 'busy' })),
    pass({ tenantId: 'b' }), pass({ tenantId: 'c' }), pass({ tenantId: 'b' })
  ]
  running.release()
  await Promise.all(waiting)
  t.strictSame(order.slice(0, 8), ['x', 'busy', 'b', 'c', 'busy', 'b', 'busy', 'busy'])

  const numbers = open(1)
  const told: number[] = []
  const one = await numbers.enter()
  const others = [[1, 0], [1, 1], [2, 2], [1, 3], [3, 4], [2, 5]].map(async ([attempt, index]) => {
    await numbers.pass({ attempt: attempt! })
    told.push(index!)
  })
  one.release()
  await Promise.all(others)
  t.strictSame(told, [4, 2, 5, 0, 1, 3])
})

t.test('over 1024 that wait, those who are new are refused, of the tenant with the most of them', async (t) => {
  const { enter, pass } = open(1)
  const running = await enter()
  const stop = new AbortController()
  const { signal } = stop
  const waiting = Array.from({ length: 1024 }, async () => await codeOf(pass({ signal })))
  const refused = await enter().catch((error: unknown) => error as ApiError)
  t.match(refused, { code: 'overloaded', headers: { 'retry-after': '1' } })
  const quiet = pass({ tenantId: 'quiet' })
  t.equal(await waiting.at(-1), 'overloaded', 'the last of the many makes room')
  const back = Array.from({ length: 1025 }, async () => await codeOf(enter({ attempt: 2, signal })))
  t.equal(await back.at(-1), 'overloaded', 'those who come again have a bound, too')
  stop.abort()
  await Promise.all([...waiting, ...back])
  running.release()
  await quiet
  await pass()
})

t.test('a long line for one model is no reason to refuse calls of another', async (t) => {
  const { enter, pass } = open(2)
  ;(await enter()).refused(20_000)
  const stop = new AbortController()
  const waiting = Array.from({ length: 1024 }, async () => await codeOf(enter({ signal: stop.signal })))
  await pass({ model: 'another' })
  t.equal(await codeOf(enter()), 'overloaded')
  stop.abort()
  await Promise.all(waiting)
})

t.test('an abort takes a waiter out, whatever it waits for', async (t) => {
  const { enter, pass, order } = open(1)
  const running = await enter({ tenantId: 'x' })
  const stop = new AbortController()
  const reason = new Error('stopped')
  const gone = [enter({ signal: stop.signal }), enter({ signal: stop.signal, delayMs: HOUR })]
  await later()
  stop.abort(reason)
  for (const entering of gone) await t.rejects(entering, reason)
  t.strictSame(getEventListeners(stop.signal, 'abort'), [])
  await t.rejects(enter({ signal: stop.signal }), reason, 'and it does not even begin to wait')
  running.release()
  await pass({ tenantId: 'y' })
  t.strictSame(order, ['x', 'y'])
})

t.test('a delay is waited for without a slot, and leaves its listeners behind nowhere', async (t) => {
  const { pass, order } = open(1)
  const { signal } = new AbortController()
  const delayed = pass({ tenantId: 'late', delayMs: 5, signal })
  await pass({ tenantId: 'now' })
  await delayed
  t.strictSame(order, ['now', 'late'])
  t.strictSame(getEventListeners(signal, 'abort'), [])
})

t.test('a refusal pauses its model for all, and then one goes first', async (t) => {
  const { enter, pass, order } = open(8, { gate: { limiterWindowMs: HOUR } })
  const refused = await enter({ tenantId: 'first' })
  refused.refused(20)
  refused.release()
  const probe = enter({ tenantId: 'probe' })
  const others = Array.from({ length: 6 }, async () => await enter({ tenantId: 'other' }))
  await pass({ tenantId: 'elsewhere', model: 'another' })
  t.strictSame(order, ['first', 'elsewhere'], 'other models go on')
  const permit = await probe
  await later()
  t.strictSame(order.slice(2), ['probe'])
  permit.passed(noBudget)
  await later()
  t.equal(order.length, 4, 'then one more')
  ;(await others[0])?.passed(noBudget)
  await later()
  t.equal(order.length, 6, 'then two more')
  ;(await others[1])?.passed(noBudget)
  await Promise.all(others)
})

t.test('a window without a refusal is as good as a call that was let through', async () => {
  const { enter } = open(8, { gate: { limiterWindowMs: 5 } })
  ;(await enter()).refused(1)
  await Promise.all(Array.from({ length: 7 }, async () => await enter()))
})

t.test('a pause that ends after the deadline is not waited for', async (t) => {
  const { enter } = open(4)
  const soon = performance.now() + 5000
  const running = await enter()
  const delayed = codeOf(enter({ deadline: soon, delayMs: HOUR }))
  running.refused(29_000)
  t.equal(await delayed, 'upstream_rate_limited')
  const error = await enter({ deadline: soon }).catch((error: unknown) => error as ApiError)
  t.match(error, { code: 'upstream_rate_limited', headers: { 'retry-after': /^(29|30)$/ } })
  running.refused(100_000)
  const clamped = await enter({ deadline: soon }).catch((error: unknown) => error as ApiError)
  t.match(clamped, { headers: { 'retry-after': '30' } }, 'no pause is longer than 30 s')
})

t.test('a refusal that asks for no wait pauses with jitter, and longer when it follows on another', async (t) => {
  const { enter } = open(4, { gate: { baseMs: 8000, limiterWindowMs: 1000 } })
  const waitAfter = async (refuse: () => void): Promise<string | undefined> => {
    refuse()
    const error = await enter({ deadline: 0 }).catch((error: unknown) => error as ApiError)
    return error instanceof Error ? error.headers['retry-after'] : 'none'
  }
  const permit = await enter()
  t.equal(await waitAfter(() => permit.refused(undefined)), '4', 'half of the base')
  t.equal(await waitAfter(() => permit.refused(undefined)), '4', 'those refused with it add nothing')
  t.equal(await waitAfter(() => permit.refused(9000)), '13', 'a longer wait that was asked for counts')
  const again = open(4, { gate: { baseMs: 2, limiterWindowMs: 2000 } })
  const one = await again.enter()
  one.refused(undefined)
  const two = await again.enter()
  two.refused(undefined)
  const error = await again.enter({ deadline: 0 }).catch((error: unknown) => error as ApiError)
  t.match(error, { headers: { 'retry-after': '3' } }, 'a window and twice the jitter')
})

t.test('many refusals at once teach the rate', async (t) => {
  const { enter } = open(64, { gate: { limiterWindowMs: HOUR / 100 } })
  const permits = await Promise.all(Array.from({ length: 12 }, async () => await enter()))
  permits.slice(0, 4).forEach((permit) => permit.passed(noBudget))
  permits.slice(4).forEach((permit) => permit.refused(1))
  // Of the window's 4, all have been used: the 12 calls fill it until they leave it.
  const stop = new AbortController()
  const next = codeOf(enter({ signal: stop.signal, tenantId: 'next' }))
  await enter({ model: 'another', delayMs: 20 })
  stop.abort(new Error('still waiting'))
  t.equal(await next, undefined)

  const quick = open(64, { gate: { limiterWindowMs: 5 } })
  const burst = await Promise.all(Array.from({ length: 12 }, async () => await quick.enter()))
  burst.slice(0, 4).forEach((permit) => permit.passed(noBudget))
  burst.slice(4).forEach((permit) => permit.refused(1))
  await Promise.all(Array.from({ length: 40 }, async () => await quick.pass()))
  t.equal(quick.order.length, 52, 'with time, all go')
})

t.test('calls that leave the window during a pause do not hide those within it', async (t) => {
  const { enter, pass, order } = open(8, { gate: { limiterWindowMs: 40, random: () => 0 } })
  const early = await Promise.all(Array.from({ length: 4 }, async () => await enter()))
  await new Promise((resolve) => setTimeout(resolve, 25))
  await enter()
  early.forEach((permit) => permit.refused(25))
  await pass()
  t.equal(order.length, 6)
})

t.test('what is left of a budget bounds the calls in flight, and an empty one pauses until it is full', async (t) => {
  const { enter, order } = open(8)
  const first = await enter({ tenantId: 'first' })
  first.passed({ remaining: 2, resetMs: undefined })
  await enter()
  const waiting = Array.from({ length: 3 }, async () => await enter())
  await later()
  t.equal(order.length, 2)
  first.release()
  await later()
  t.equal(order.length, 3)
  ;(await waiting[0])?.passed(noBudget)
  await Promise.all(waiting)
  const one = open(8)
  const permit = await one.enter()
  permit.passed({ remaining: 0, resetMs: undefined })
  permit.release()
  const probe = await one.enter()
  t.equal(one.order.length, 2, 'nothing left, and nobody knows for how long: one may find out')
  probe.passed({ remaining: 0, resetMs: 60_000 })
  t.equal(await codeOf(one.enter({ deadline: performance.now() + 10_000 })), 'upstream_rate_limited')
})

t.test('a model that does nothing but fail is not asked any more, but for one call after a while', async (t) => {
  const { enter, pass } = open(8, { breaker: { openMs: 30 } })
  const fail = async (verdict: 'up' | 'down' | 'unknown' = 'down'): Promise<void> => {
    const permit = await enter()
    permit.end(verdict)
    permit.release()
    await later()
  }
  for (const verdict of ['down', 'down', 'up', 'down', 'unknown', 'down'] as const) await fail(verdict)
  const out = await enter()
  const waiting = codeOf(enter({ delayMs: HOUR }))
  await fail()
  t.equal(await waiting, 'upstream_unavailable', 'those who wait are told as well')
  const refused = await enter().catch((error: unknown) => error as ApiError)
  t.match(refused, { code: 'upstream_unavailable', headers: { 'retry-after': '1' } })
  await pass({ model: 'another' })

  /** Asks until one is let through to find out. */
  const probe = async (): Promise<Permit> => {
    for (;;) {
      await new Promise((resolve) => setTimeout(resolve, 2))
      const permit = await enter().catch(() => undefined)
      if (permit !== undefined) return permit
    }
  }
  for (const verdict of ['unknown', 'down'] as const) {
    const permit = await probe()
    t.equal(await codeOf(enter()), 'upstream_unavailable', 'one at a time')
    permit.end(verdict)
    permit.release()
    await later()
    t.equal(await codeOf(enter()), 'upstream_unavailable', `${verdict} does not close it`)
  }
  const last = await probe()
  out.end('up')
  await later()
  t.equal(await codeOf(enter()), 'upstream_unavailable', 'nor does a call from before it opened')
  last.end('up')
  await later()
  await pass()
})

t.test('of those who waited for a slot, one tries a model again, and the next is refused', async (t) => {
  const { enter } = open(1, { breaker: { failures: 1, openMs: 1 } })
  const broken = await enter()
  broken.end('down')
  broken.release()
  await later()
  const other = await enter({ model: 'another' })
  await new Promise((resolve) => setTimeout(resolve, 5))
  const probe = enter()
  const next = codeOf(enter())
  other.release()
  ;(await probe).release()
  t.equal(await next, 'upstream_unavailable')
})

t.test('a burst of failures does not open it while as many calls are out', async (t) => {
  const { enter, pass } = open(64)
  const permits = await Promise.all(Array.from({ length: 20 }, async () => await enter()))
  permits.slice(0, 9).forEach((permit) => permit.end('down'))
  await later()
  await pass()
  permits.slice(9).forEach((permit) => permit.end('down'))
  await later()
  t.equal(await codeOf(enter()), 'upstream_unavailable')
})

t.test('what is known of models is bounded, however many names there are', async (t) => {
  const { enter, pass } = open(8)
  ;(await enter()).refused(20_000)
  const soon = performance.now() + 1000
  t.equal(await codeOf(enter({ deadline: soon })), 'upstream_rate_limited')
  for (let i = 0; i < 1000; i++) await pass({ model: `made-up-${i}` })
  t.equal(await codeOf(enter({ deadline: soon })), 'entered', 'it is forgotten')
})
