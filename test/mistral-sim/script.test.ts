import { once } from 'node:events'
import { Agent, get, type IncomingMessage } from 'node:http'
import t from 'tap'
import { type Fault, type ScriptEntry, type Sim } from '../../src/mistral-sim/index.ts'
import { Dice } from '../../src/mistral-sim/faults/dice.ts'
import { FaultScript } from '../../src/mistral-sim/faults/script.ts'
import { ask, chatBody, post, rawPost, simFor } from './support.ts'

const CHAT = '/v1/chat/completions'
const fault = (code: number): Fault => ({ status: { code } })

/** The statuses of so many chats, one after the other; 0: the connection broke. */
async function statuses (sim: Sim, count: number): Promise<number[]> {
  const seen: number[] = []
  for (let index = 0; index < count; index++) {
    seen.push(await post(sim, CHAT, chatBody('a')).then(({ status }) => status, () => 0))
  }
  return seen
}

t.test('the script picks its requests', async (t) => {
  const sim = await simFor(t)
  const status = async (content: string, more: object = {}): Promise<number> =>
    (await post(sim, CHAT, chatBody(content, more))).status
  sim.script([
    { match: { textIncludes: 'special' }, fault: fault(500) },
    { match: { route: '/v1/embeddings' }, fault: fault(501) },
    { match: { model: 'codestral-latest' }, times: 2, fault: fault(502) },
    { match: { textIncludes: 'third', nth: 3 }, fault: fault(503) }
  ])
  t.equal(await status('plain'), 200)
  t.equal(await status('a special one'), 500)
  t.equal(await status('a special one'), 200)
  for (const expected of [200, 200, 503, 200]) t.equal(await status('third'), expected)
  const code = { model: 'codestral-latest' }
  t.same([await status('x', code), await status('x', code), await status('x', code)], [502, 502, 200])
  sim.reset()
  t.equal((await post(sim, '/v1/embeddings', { model: 'mistral-embed', input: 'a' })).status, 200)
  sim.script([{ fault: fault(500) }])
  t.equal((await post(sim, CHAT, '{oops', {})).status, 500, 'the script comes before every check')
})

t.test('entries are used first in, first out, and some for ever', async (t) => {
  const sim = await simFor(t)
  sim.script([{ times: 2, fault: fault(500) }, { fault: fault(502) }])
  sim.script([{ times: 'always', fault: fault(503) }, { fault: fault(504) }])
  t.same(await statuses(sim, 6), [500, 500, 502, 503, 503, 503])
})

t.test('a share of the calls fails at random, the same with the same seed', async (t) => {
  const mixed: ScriptEntry = {
    times: 'always', probability: 0.15, fault: [fault(429), fault(500), { reset: { at: 'request' } }]
  }
  const drawn = (seed: number, entry = mixed): string[] => {
    const script = new FaultScript(new Dice(seed))
    script.add([entry])
    const target = { path: CHAT, rawBody: '', model: undefined }
    return Array.from({ length: 1000 }, () => JSON.stringify(script.forRequest(target).fault ?? 'none'))
  }
  t.same(drawn(1), drawn(1))
  t.notSame(drawn(1), drawn(2))
  const counts = Map.groupBy(drawn(1), (name) => name)
  t.equal(counts.size, 4)
  for (const [name, { length }] of counts) {
    t.ok(name === '"none"' ? length > 800 && length < 900 : length > 30 && length < 70, `${length} of 1000 got ${name}`)
  }
  t.same(new Set(drawn(1, { ...mixed, probability: 0 })), new Set(['"none"']))
  t.same(new Set(drawn(1, { ...mixed, probability: 1, fault: fault(429) })), new Set([JSON.stringify(fault(429))]))

  const sim = await simFor(t, { seed: 2 })
  sim.script([mixed])
  t.same(new Set(await statuses(sim, 60)), new Set([200, 429, 500, 0]))
})

t.test('the random numbers are spread evenly', async (t) => {
  const dice = new Dice(3)
  const counts = Array.from({ length: 10 }, () => 0)
  for (let roll = 0; roll < 10_000; roll++) counts[Math.floor(dice.roll() * 10)]!++
  t.ok(counts.every((count) => count > 900 && count < 1100), counts.join(' '))
})

t.test('a reset begins the random numbers anew, and a request that is spared goes on to the next entry', async (t) => {
  const sim = await simFor(t)
  const script: ScriptEntry[] = [
    { times: 'always', probability: 0.5, fault: fault(500) }, { times: 'always', fault: fault(503) }
  ]
  sim.script(script)
  const first = await statuses(sim, 30)
  sim.reset()
  sim.script(script)
  t.same(await statuses(sim, 30), first)
  t.same([...new Set(first)].sort(), [500, 503])
})

t.test('a reset at accept concerns the next connection, not a request', async (t) => {
  const sim = await simFor(t)
  sim.script([{ times: 2, fault: { reset: { at: 'accept' } } }, { fault: fault(500) }])
  const ends = [1, 2, 3].map(async () => await rawPost(sim, CHAT, chatBody('a')))
  t.same((await Promise.all(ends)).map(({ end }) => end).sort(), ['end', 'reset', 'reset'])
  t.same(sim.requests().map(({ status }) => status).sort(), [500, null, null])
  t.same(new Set(sim.requests().map(({ connectionId }) => connectionId)).size, 3)

  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  t.teardown(() => agent.destroy())
  const status = async (): Promise<unknown> => {
    const [response] = await once(get(`${sim.url}/v1/models/none`, { agent }), 'response') as [IncomingMessage]
    await once(response.resume(), 'end')
    return response.statusCode
  }
  t.equal(await status(), 401)
  sim.script([{ fault: { reset: { at: 'accept' } } }])
  t.equal(await status(), 401, 'on the connection that was there before')
  t.equal((await rawPost(sim, CHAT, chatBody('a'))).end, 'reset')
})

t.test('what is no script is refused with its place', async (t) => {
  const sim = await simFor(t, { control: true })
  const refused: Array<[unknown, RegExp]> = [
    ['nothing', /script: Input should be a valid list/],
    [[{ fault: { explode: true } }], /script\.0\.fault\.explode: Extra inputs/],
    [[{}, { times: 0 }], /script\.1\.times/],
    [[{ times: 'often' }], /script\.0\.times/],
    [[{ probability: 1.1 }], /script\.0\.probability: Input should be less than or equal to 1/],
    [[{ fault: [] }], /script\.0\.fault: List should have at least 1/],
    [[{ fault: [{ hang: false }] }], /script\.0\.fault\.0\.hang/],
    [[{ fault: { status: { code: 99 } } }], /fault\.status\.code: Input should be greater/],
    [[{ fault: { status: { code: 500, bodyShape: 'xml' } } }], /status\.bodyShape: .*'mistral', 'detail'/],
    [[{ fault: { status: { code: 500, headers: { 'a b': 'c' } } } }], /status\.headers\.a b/],
    [[{ fault: { status: { code: 500, headers: { a: 'b\r\nc: d' } } } }], /status\.headers\.a/],
    [[{ fault: { reset: { at: 'dawn' } } }], /fault\.reset\.at/],
    [[{ fault: { latencyMs: 1e12 } }], /latencyMs: Input should be less/],
    [[{ fault: { trickle: { bytesPerSec: 0 } } }], /bytesPerSec: Input should be greater/],
    [[{ fault: { oversize: { bytes: 1e12 } } }], /bytes: Input should be less/],
    [[{ cadence: { packet: 'lumps' } }], /cadence\.packet/],
    [[{ match: { nth: 1 }, fault: { reset: { at: 'accept' } } }], /script\.0: .* no match and no other fault/],
    [[{ fault: [{ hang: true }, { reset: { at: 'accept' } }] }], /no other fault/],
    [[{ fault: { reset: { at: 'accept' }, hang: true } }], /no other fault/],
    [Array.from({ length: 1001 }, () => ({})), /script: List should have at most 1000/]
  ]
  for (const [script, message] of refused) {
    t.throws(() => sim.script(script as ScriptEntry[]), { message }, JSON.stringify(script).slice(0, 80))
    const { status, json } = await post(sim, '/__sim/script', { script })
    t.match([status, json.message], [400, message])
  }
  t.equal((await post(sim, '/__sim/script', { scripts: [] })).status, 400)
  t.equal((await post(sim, '/__sim/script', '[]')).status, 400)
  t.match((await post(sim, '/__sim/script', '{oops')).json, { message: 'body: JSON decode error' })
  t.equal((await post(sim, CHAT, chatBody('a'))).status, 200, 'nothing of them was taken')
})

t.test('a request brings its own fault where that is allowed', async (t) => {
  const sim = await simFor(t, { headerFaults: true })
  const asking = async (own: string, to = sim): Promise<[number, unknown]> => {
    const headers = { authorization: 'Bearer sim', 'content-type': 'application/json', 'x-sim-fault': own }
    const { status, json } = await post(to, CHAT, chatBody('a'), headers)
    return [status, json.message]
  }
  sim.script([{ fault: fault(502) }])
  t.match(await asking('{"status":{"code":503}}'), [503])
  t.same(sim.requests()[0]?.fault, fault(503))
  t.same(await statuses(sim, 2), [502, 200], 'the script was not touched')
  t.match(await asking('{"status"'), [400, 'x-sim-fault is not JSON'])
  t.match(await asking('{"explode":1}'), [400, /x-sim-fault\.explode: Extra inputs/])
  t.match(await asking('{"reset":{"at":"accept"}}'), [400, /too late/])
  t.match(await asking('{"status":{"code":503}}', await simFor(t)), [200], 'off unless it is asked for')
})

t.test('the control routes do what the functions do', async (t) => {
  const sim = await simFor(t, { control: true })
  const script = [{ match: { nth: 1 }, fault: { status: { code: 503 }, latencyMs: 0 }, cadence: { packet: 'merge:2' } }]
  t.same((await post(sim, '/__sim/script', { script })).json, { ok: true })
  t.equal((await post(sim, CHAT, chatBody('a'))).status, 503)
  const seen = (await ask(sim, 'GET', '/__sim/requests')).json
  t.match(seen, { requests: [{ seq: 1, path: CHAT, status: 503 }] })
  t.same((await ask(sim, 'DELETE', '/__sim/requests')).json, { ok: true })
  t.same(sim.requests(), [], 'and control requests are not recorded')
  await post(sim, CHAT, chatBody('a'))
  t.equal(sim.requests()[0]?.seq, 2)
  t.same((await post(sim, '/__sim/reset', {})).json, { ok: true })
  t.same(sim.requests(), [])
  t.equal((await ask(sim, 'GET', '/__sim/other')).status, 404)
})
