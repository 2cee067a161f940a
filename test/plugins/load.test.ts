import { EventEmitter } from 'node:events'
import { setImmediate } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { LoadGate } from '../../src/limits/load-gate.ts'
import { type GroupCommit } from '../../src/store/group-commit.ts'
import { StoreLoad } from '../../src/store/store-load.ts'
import { isProblem } from '../edge.ts'
import { startApp } from '../helper.ts'
import { readMetrics, valueOf } from '../metrics.ts'

/** A gate in a world of its own. Whoever arrives has a number; `turnMs` is what one turn of the event loop takes. */
class World {
  now = 0
  isStoreBusy = false
  readonly said: boolean[] = []
  readonly entered: number[] = []
  readonly refused: number[] = []
  readonly gone = new Set<number>()
  readonly gate: LoadGate
  #came = 0
  #next: Array<() => void> = []

  constructor (mayWait?: number) {
    const later = (callback: () => void) => { this.#next.push(callback) }
    this.gate = new LoadGate({
      now: () => this.now,
      afterTurn: later,
      afterPause: later,
      isStoreBusy: () => this.isStoreBusy,
      onChange: (isOverloaded) => { this.said.push(isOverloaded) }
    }, mayWait)
  }

  arrive (count = 1): void {
    for (; count > 0; count--) {
      const number = this.#came++
      if (this.gate.isOpen()) this.entered.push(number)
      else {
        this.gate.lineUp({
          enter: () => { this.entered.push(number) },
          refuse: () => { this.refused.push(number) },
          isGone: () => this.gone.has(number)
        })
      }
    }
  }

  turn (turnMs: number): void {
    this.now += turnMs
    const due = this.#next
    this.#next = []
    for (const callback of due) callback()
  }

  /** Two seconds of turns of 100 ms, with so many arrivals in each that take 5 ms. */
  window (arrivals: number): void {
    for (let turns = 0; turns < 20; turns++) {
      for (let count = 0; count < arrivals; count++) {
        this.arrive()
        this.now += 5
      }
      this.turn(100 - 5 * arrivals)
    }
    this.gate.judge()
  }
}

t.test('while there is time, everybody is let in at once', async (t) => {
  const world = new World()
  world.arrive(1000)
  t.equal(world.entered.length, 1000, 'also a burst that takes no time')
  world.turn(1)
  for (let turns = 0; turns < 10_000; turns++) {
    world.arrive()
    world.turn(1)
  }
  world.gate.judge()
  t.equal(world.entered.length, 11_000)
  t.equal(world.gate.waiting, 0)
  t.strictSame(world.said, [])
})

t.test('who comes late in a long turn waits, in the order of coming', async (t) => {
  const world = new World()
  world.arrive(2)
  world.now += 5
  world.arrive(3)
  t.strictSame([world.entered, world.gate.waiting], [[0, 1], 3])
  world.turn(0)
  t.strictSame(world.entered, [0, 1, 2], 'one is let in each turn')
  world.arrive()
  world.gone.add(3)
  world.turn(5)
  t.strictSame(world.entered, [0, 1, 2, 4], 'and nobody who has left')
  world.turn(5)
  world.turn(5)
  t.strictSame([world.entered, world.gate.waiting], [[0, 1, 2, 4, 5], 0])
  world.arrive()
  t.equal(world.entered.at(-1), 6, 'where nobody waits any more, one is let in at once')
})

t.test('while the store has as much to do as it can, nobody is let in', async (t) => {
  const world = new World()
  world.isStoreBusy = true
  world.arrive(3)
  world.turn(1)
  world.turn(1)
  t.strictSame([world.entered, world.gate.waiting], [[], 3])
  world.isStoreBusy = false
  for (let turns = 0; turns < 3; turns++) world.turn(1)
  t.strictSame([world.entered, world.gate.waiting], [[0, 1, 2], 0])
})

t.test('a burst that gets less is no overload, however long it takes', async (t) => {
  const world = new World()
  world.arrive()
  world.now += 5
  world.arrive(15)
  for (let turns = 0; turns < 20; turns++) world.turn(100)
  world.gate.judge()
  t.equal(world.entered.length, 16)
  t.strictSame([world.said, world.refused], [[], []])
})

t.test('a line that does not get shorter is overload: who is in it is served, who comes is refused', async (t) => {
  const world = new World()
  world.window(3)
  t.strictSame(world.said, [], 'the first have waited for nothing')
  world.window(3)
  t.strictSame(world.said, [true])
  t.strictSame([world.entered.length, world.gate.waiting], [41, 79], 'the first at once, then one each turn')
  world.arrive()
  t.strictSame(world.refused, [120])
  for (let turns = 0; turns < 79; turns++) world.turn(100)
  t.equal(world.entered.length, 120)

  world.window(3)
  t.equal(world.entered.length, 141, 'as many are served as before')
  t.equal(world.gate.waiting, 15, 'and few wait')
  t.equal(world.refused.length, 1 + 24)
  t.ok(world.gate.isOverloaded)

  world.window(0)
  t.strictSame(world.said, [true, false], 'where nobody has to be refused any more, it is over')
  t.notOk(world.gate.isOverloaded)
})

t.test('more than may wait is overload at once', async (t) => {
  const world = new World(100)
  world.isStoreBusy = true
  world.arrive(101)
  t.strictSame([world.refused, world.said], [[100], [true]])
  world.gate.judge()
  t.strictSame(world.said, [true], 'that many were refused')
  world.gate.judge()
  t.strictSame(world.said, [true, false])
  world.now += 2000
  world.gate.judge()
  t.strictSame(world.said, [true, false, true], 'where nobody is let in, who waits counts')
  world.now += 28_001
  world.gate.judge()
  t.equal(world.refused.length, 101, 'and nobody waits for ever')
})

t.test('a store is busy while it has much to answer', async (t) => {
  const driver = new EventEmitter()
  const commits = { underway: 0 }
  const load = new StoreLoad(driver, commits as GroupCommit, 3)
  for (const event of ['commandStarted', 'commandStarted', 'commandStarted']) driver.emit(event)
  t.ok(load.isBusy())
  driver.emit('commandSucceeded')
  t.notOk(load.isBusy())
  commits.underway = 1
  t.ok(load.isBusy(), 'who has handed in writes counts')
  driver.emit('commandFailed')
  t.notOk(load.isBusy())
})

async function startBusyApp (t: Test) {
  const started = await startApp(t, {}, { mayWait: 2 })
  const { app } = started
  let isBusy = true
  Object.assign(app.store.load, { isBusy: () => isBusy })
  return {
    ...started,
    calm: () => { isBusy = false },
    waiting: async (count: number) => { while (app.load.waiting !== count) await setImmediate() }
  }
}

t.test('excess is refused, what waits is served, and who looks after the server is answered', async (t) => {
  const { app, client, calm, waiting } = await startBusyApp(t)
  const leaving = new AbortController()
  const left = client.ask('/api/configs', { signal: leaving.signal })
  await waiting(1)
  const served = client.ask('/api/configs', { body: { purpose: 'Help.' } })
  await waiting(2)
  const refused = await client.with({}).ask('/api/configs', { body: { purpose: 'Help.' } })
  isProblem(t, refused, 'overloaded')
  t.match(refused.headers.get('retry-after') ?? '', /^[123]$/, 'before anybody asks who it is')
  const byOpenAi = await client.ask('/v1/chat/completions', { body: { model: 'm', messages: [] } })
  t.match(byOpenAi, { status: 503, body: { error: { code: 'overloaded' } } }, 'clients of OpenAI in their own words')
  t.match(byOpenAi.headers.get('retry-after') ?? '', /^[123]$/)
  t.equal((await client.ask('/health/live')).status, 200)
  t.equal((await client.ask('/health')).status, 200)
  t.equal((await client.ask('/api/admin/log-level')).status, 200)
  const metrics = await readMetrics(client.url)
  t.equal(valueOf(metrics, 'requests_waiting'), 2)
  t.equal(valueOf(metrics, 'overloaded'), 1)
  t.equal(valueOf(metrics, 'overload_refusals_total'), 2)

  leaving.abort()
  await t.rejects(left)
  calm()
  t.equal((await served).status, 201)
  t.equal((await client.ask('/api/configs')).status, 200, 'and who comes then')
  app.load.judge()
  app.load.judge()
  t.equal(valueOf(await readMetrics(client.url), 'overloaded'), 0)
})
