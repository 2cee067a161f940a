import { Mistral } from '@mistralai/mistralai'
import OpenAI from 'openai'
import t from 'tap'
import { type Fault, type Sim } from '../../src/mistral-sim/index.ts'
import { simFor } from '../mistral-sim/support.ts'

const MODEL = 'mistral-small-latest'
const messages = [{ role: 'user' as const, content: 'one two three' }]

/** Both public SDKs, each with two retries. */
const CLIENTS: Record<string, (sim: Sim) => Promise<unknown>> = {
  'the official SDK': async (sim) => await new Mistral({
    apiKey: 'sim',
    serverURL: sim.url,
    retryConfig: {
      strategy: 'backoff',
      backoff: { initialInterval: 1, maxInterval: 5000, exponent: 1, maxElapsedTime: 20_000 },
      retryConnectionErrors: true
    }
  }).chat.complete({ model: MODEL, messages }),
  "OpenAI's SDK": async (sim) => await new OpenAI({ apiKey: 'sim', baseURL: `${sim.url}/v1`, maxRetries: 2 })
    .chat.completions.create({ model: MODEL, messages })
}

for (const [name, complete] of Object.entries(CLIENTS)) {
  const ask = async (script: Fault[], t: Parameters<typeof simFor>[0]): Promise<Sim> => {
    const sim = await simFor(t, { strict: true })
    sim.script(script.map((fault) => ({ fault })))
    t.match(await complete(sim), { choices: [{ message: { content: /one two three$/ } }] })
    return sim
  }

  t.test(`${name} retries after a 429, a 503 and a reset`, async (t) => {
    const sim = await ask([{ status: { code: 429 } }, { status: { code: 503, bodyShape: 'html' } }], t)
    t.same(sim.requests().map(({ status }) => status), [429, 503, 200])
    const other = await ask([{ reset: { at: 'request' } }], t)
    t.same(other.requests().map(({ status }) => status), [null, 200])
  })

  t.test(`${name} waits as long as Retry-After says, in seconds and as a date`, async (t) => {
    for (const as of ['seconds', 'date'] as const) {
      const sim = await ask([{ status: { code: 429, retryAfter: { seconds: 1, as } } }], t)
      const [first, second] = sim.requests()
      t.equal(sim.requests().length, 2)
      t.ok(Number(second?.t) - Number(first?.t) >= 990, `${as}: ${Number(second?.t) - Number(first?.t)} ms`)
    }
  })
}
