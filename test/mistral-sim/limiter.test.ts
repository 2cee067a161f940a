import t from 'tap'
import { type Clock, type Limits, type Sim } from '../../src/mistral-sim/index.ts'
import { Limiter } from '../../src/mistral-sim/limiter/limiter.ts'
import { chatBody, post, type Reply, simFor } from './support.ts'

const CHAT = '/v1/chat/completions'

/** A clock that is set by hand. */
class SetClock implements Clock {
  time = 0

  now (): number {
    return this.time
  }

  async wait (): Promise<void> {}
}

async function limited (limits: Limits): Promise<{ sim: Sim, clock: SetClock }> {
  const clock = new SetClock()
  return { sim: await simFor(t, { limits, clock }), clock }
}

const chat = (sim: Sim, more: object = {}, key = 'sim'): Promise<Reply> => post(sim, CHAT, chatBody('hi', more),
  { authorization: `Bearer ${key}`, 'content-type': 'application/json' })

async function statuses (sim: Sim, count: number, ...rest: [object?, string?]): Promise<number[]> {
  const replies = Array.from({ length: count }, () => chat(sim, ...rest))
  return (await Promise.all(replies)).map(({ status }) => status).sort()
}

const limitsIn = ({ headers }: Reply): Record<string, string> =>
  Object.fromEntries([...headers].filter(([name]) => /ratelimit|retry-after/.test(name)))

t.test('requests of a second and of a minute are counted in windows, for each key and model', async (t) => {
  const { sim, clock } = await limited({ requestsPerSecond: 2, requestsPerMinute: 5 })
  t.same(await statuses(sim, 3), [200, 200, 429])
  t.same(await statuses(sim, 2, { model: 'mistral-large-latest' }), [200, 200], 'another model')
  t.same(await statuses(sim, 2, {}, 'other'), [200, 200], 'another key')
  const { status, json } = await chat(sim)
  t.match([status, json], [429, { object: 'error', type: 'rate_limited', code: '1300', raw_status_code: 429 }])
  clock.time = 999
  t.equal((await chat(sim)).status, 429)
  clock.time = 1000
  t.equal((await chat(sim)).status, 429, 'refused requests counted for the minute')
  clock.time = 60_000
  t.same(await statuses(sim, 3), [200, 200, 429])
  sim.reset()
  t.same(await statuses(sim, 3), [200, 200, 429])
})

t.test('tokens of a minute are reserved with max_tokens and settled when the reply is over', async (t) => {
  const { sim, clock } = await limited({ tokensPerMinute: 1000 })
  const first = await chat(sim, { max_tokens: 900 })
  t.match(limitsIn(first), {
    'x-ratelimit-limit-tokens-minute': '1000',
    'x-ratelimit-remaining-tokens-minute': '98',
    'x-ratelimit-tokens-query-cost': '902'
  })
  const used = Number(first.json.usage?.total_tokens)
  await sim.idle()
  const second = await chat(sim, { max_tokens: 900 })
  t.equal(second.status, 200, 'what was not used came back')
  t.equal(limitsIn(second)['x-ratelimit-remaining-tokens-minute'], String(98 - used))
  await sim.idle()

  sim.script([{ fault: { hangAfter: { chunks: 1 } } }])
  const hanging = new AbortController()
  const open = await fetch(sim.url + CHAT, {
    method: 'POST',
    headers: { authorization: 'Bearer sim', 'content-type': 'application/json' },
    body: JSON.stringify(chatBody('hi', { stream: true, max_tokens: 900 })),
    signal: hanging.signal
  })
  t.equal(open.status, 200)
  t.equal((await chat(sim, { max_tokens: 900 })).status, 429, 'still reserved')
  hanging.abort()
  await sim.idle()
  t.equal((await chat(sim, { max_tokens: 900 })).status, 200)
  await sim.idle()
  const wrong = await chat(sim, { max_tokens: 800, store: true })
  t.match([wrong.status, limitsIn(wrong)], [422, { 'x-ratelimit-tokens-query-cost': '802' }])
  await sim.idle()
  t.equal((await chat(sim, { max_tokens: 800 })).status, 200, 'a refusal costs no tokens')
  await sim.idle()

  t.equal((await chat(sim, { max_tokens: 1000 })).status, 429, 'never within the limit')
  clock.time = 60_000
  t.equal((await chat(sim, { max_tokens: 900 })).status, 200)
})

t.test('tokens that are settled in the next minute change nothing there', async (t) => {
  const { sim, clock } = await limited({ tokensPerMinute: 100 })
  sim.script([{ fault: { hang: true } }, { fault: { hangAfter: { chunks: 1 } } }])
  const leaving = new AbortController()
  const started = fetch(sim.url + CHAT, {
    method: 'POST',
    headers: { authorization: 'Bearer sim', 'content-type': 'application/json' },
    body: JSON.stringify(chatBody('hang', { max_tokens: 90 })),
    signal: leaving.signal
  })
  while (sim.requests()[0]?.fault === undefined || sim.requests()[0]?.fault === null) await new Promise(setImmediate)
  const half = fetch(sim.url + CHAT, {
    method: 'POST',
    headers: { authorization: 'Bearer sim', 'content-type': 'application/json' },
    body: JSON.stringify(chatBody('hi', { stream: true, max_tokens: 90 })),
    signal: leaving.signal
  })
  t.equal((await half).status, 200)
  clock.time = 60_000
  leaving.abort()
  await t.rejects(started)
  await sim.idle()
  t.equal(limitsIn(await chat(sim, { max_tokens: 10 }))['x-ratelimit-remaining-tokens-minute'], '88')
})

t.test('both generations of headers come with every answer', async (t) => {
  const limits: Limits = { requestsPerMinute: 10, tokensPerMinute: 1000 }
  const fresh = {
    'x-ratelimit-limit-req-minute': '10',
    'x-ratelimit-remaining-req-minute': '9',
    'x-ratelimit-limit-tokens-minute': '1000',
    'x-ratelimit-remaining-tokens-minute': '998',
    'x-ratelimit-tokens-query-cost': '2'
  }
  const old = {
    'ratelimitbysize-limit': '1000',
    'ratelimitbysize-remaining': '998',
    'ratelimitbysize-reset': '46',
    'ratelimitbysize-query-cost': '2',
    'x-ratelimitbysize-limit-minute': '1000',
    'x-ratelimitbysize-remaining-minute': '998'
  }
  const expected: Array<[Limits, object]> = [
    [{}, fresh], [{ headers: 'new' }, fresh], [{ headers: 'old' }, old], [{ headers: 'both' }, { ...fresh, ...old }],
    [{ headers: 'none' }, {}]
  ]
  for (const [more, headers] of expected) {
    const { sim, clock } = await limited({ ...limits, ...more })
    clock.time = 14_500
    t.same(limitsIn(await chat(sim)), headers, JSON.stringify(more))
  }
  const { sim } = await limited({ requestsPerSecond: 1, headers: 'both' })
  t.same(limitsIn(await chat(sim)), {}, 'seconds have no headers')
  t.equal((await chat(sim)).status, 429)
})

t.test('a 429 has the form and the Retry-After that were asked for', async (t) => {
  const refused = async (more: Limits): Promise<[unknown, Record<string, string>]> => {
    const { sim, clock } = await limited({ requestsPerMinute: 1, ...more })
    clock.time = 14_500
    await chat(sim)
    const reply = await chat(sim)
    t.equal(reply.status, 429)
    return [reply.json, limitsIn(reply)]
  }
  const spent = { 'x-ratelimit-limit-req-minute': '1', 'x-ratelimit-remaining-req-minute': '0' }
  const [mistral, headers] = await refused({})
  t.match(mistral, { object: 'error', code: '1300' })
  t.same(headers, spent, 'no Retry-After, as at the API')
  t.match(await refused({ bodyShape: 'gateway', retryAfter: 'seconds' }),
    [{ message: 'Requests rate limit exceeded', request_id: /^\w{32}$/ }, { ...spent, 'retry-after': '46' }])
  t.match(await refused({ retryAfter: 'date' }), [{}, { 'retry-after': 'Thu, 01 Jan 1970 00:01:01 GMT' }])
})

t.test('requests that name no model share a budget', async (t) => {
  const { sim } = await limited({ requestsPerMinute: 1, tokensPerMinute: 10 })
  const get = async (): Promise<number> =>
    (await fetch(`${sim.url}/v1/models`, { headers: { authorization: 'Bearer sim' } })).status
  t.same([await get(), await get()], [200, 429])
  t.equal((await post(sim, CHAT, '[]')).status, 429, 'a body that is no object counts the same')
})

t.test('the number of budgets is bounded', async (t) => {
  const limiter = new Limiter({ requestsPerMinute: 1 }, new SetClock())
  const admit = (model: string): unknown => limiter.admit({ key: 'sim', model, cost: 0, requestId: '' })
  admit('first')
  t.throws(() => admit('first'), { message: 'Requests rate limit exceeded' })
  for (let index = 0; index < 1000; index++) admit(`m${index}`)
  t.ok(admit('first'), 'the oldest budget was forgotten')
  t.throws(() => admit('m999'), { message: 'Requests rate limit exceeded' })
})
