import { Mistral } from '@mistralai/mistralai'
import OpenAI from 'openai'
import t, { type Test } from 'tap'
import { ApiError } from '../../src/errors.ts'
import { startSim, type Fault } from '../../src/mistral-sim/index.ts'
import { ask, connect } from '../llm/mistral-upstream.ts'

const MODEL = 'mistral-small-latest'
const QUESTION = 'één zwei trois четыре 五 🙂 seven eight nine ten'
const WHOLE = new RegExp(`^sim:[0-9a-f]{8} ${QUESTION}$`)
// For a reply that never comes: ours, for the first text and between two chunks; the others, for a call.
const SHORT_PATIENCE_MS = 1000
// For any other, also on a machine with other work.
const LONG_PATIENCE_MS = 6000
const TOTAL_MS = 7000
// More than a client was told to bear in all, but for one that is asked to wait longer.
const HANGS_MS = 7500
const PARALLEL = 4

/** What became of a request: the text that was handed out, how it ended, and how often the simulator was asked. */
interface Row {
  readonly text: string
  /** `complete`: said to be whole, and is. `not whole`: said to be whole, and is not. Else the error's name. */
  readonly outcome: string
  readonly calls: number
}

interface Call {
  readonly url: string
  readonly stream: boolean
  readonly patienceMs: number
  readonly signal: AbortSignal
  readonly onText: (text: string) => void
}

type Client = (test: Test, call: Call) => Promise<void>

const ours: Client = async (test, { url, stream, patienceMs, signal, onText }) => {
  const { provider } = connect(test, url, {
    defaultModel: MODEL,
    firstTokenTimeoutMs: patienceMs,
    idleTimeoutMs: patienceMs,
    timeoutMs: TOTAL_MS,
    retry: { baseMs: 10, limiterWindowMs: 10 },
    breaker: {}
  })
  for await (const event of provider.generate(ask(QUESTION), { stream, signal })) if (event.type === 'text') onText(event.text)
}

// It is not given the signal: with one it forgets its own timeout.
const mistralSdk: Client = async (_test, { url, stream, patienceMs, onText }) => {
  const client = new Mistral({ apiKey: 'sim', serverURL: url, timeoutMs: patienceMs })
  const request = { model: MODEL, messages: [{ role: 'user' as const, content: QUESTION }] }
  const say = (content: unknown): void => { if (typeof content === 'string') onText(content) }
  if (!stream) return say((await client.chat.complete(request)).choices[0]?.message?.content)
  for await (const { data } of await client.chat.stream(request)) say(data.choices[0]?.delta.content)
}

const openaiSdk: Client = async (_test, { url, stream, patienceMs, signal, onText }) => {
  const client = new OpenAI({ apiKey: 'sim', baseURL: `${url}/v1`, timeout: patienceMs })
  const request = { model: MODEL, messages: [{ role: 'user' as const, content: QUESTION }] }
  if (!stream) return onText((await client.chat.completions.create(request, { signal })).choices[0]?.message.content ?? '')
  for await (const { choices } of await client.chat.completions.create({ ...request, stream: true }, { signal })) {
    onText(choices[0]?.delta.content ?? '')
  }
}

const clients = { ours, 'Mistral SDK': mistralSdk, 'openai SDK': openaiSdk }
type ClientName = keyof typeof clients

async function observe (test: Test, client: Client, fault: Fault, stream: boolean): Promise<Row> {
  const sim = await startSim()
  sim.script([{ fault, times: 'always' }])
  let text = ''
  let outcome: string
  let timer: NodeJS.Timeout | undefined
  const controller = new AbortController()
  const { signal } = controller
  const patienceMs = fault.hang || fault.hangAfter ? SHORT_PATIENCE_MS : LONG_PATIENCE_MS
  const hung = new Promise<never>((_resolve, reject) => { timer = setTimeout(() => reject(new Error('HANGS')), HANGS_MS) })
  try {
    await Promise.race([client(test, { url: sim.url, stream, patienceMs, signal, onText: (part) => { text += part } }), hung])
    outcome = WHOLE.test(text) ? 'complete' : 'not whole'
  } catch (error) {
    outcome = nameOf(error as Error)
  } finally {
    clearTimeout(timer)
    controller.abort()
    await sim.close()
  }
  return { text, outcome, calls: sim.requests().length }
}

function nameOf (error: Error): string {
  if (error.message === 'HANGS') return error.message
  return error instanceof ApiError ? error.code : error.constructor.name
}

/** What ours must do, as `outcome calls`; the second is for a stream, where that differs. */
type Expected = readonly [string, string?]

const status = (code: number, bodyShape: NonNullable<Fault['status']>['bodyShape'], more: object = {}): Fault =>
  ({ status: { code, bodyShape, ...more } })
// The third attempt that fails is the last.
const failed: Expected = ['upstream_failed 3']
const rejected: Expected = ['upstream_rejected 1']
const limited: Expected = ['upstream_rate_limited 3']
const complete: Expected = ['complete 1']
// A stream that has begun to speak is not asked for again.
const brokenOff: Expected = ['upstream_failed 3', 'upstream_failed 1']

const cases: Array<[string, Fault, Expected]> = [
  ['400', status(400, 'mistral'), rejected],
  ['401, gateway', status(401, 'gateway'), rejected],
  ['401, quota', status(401, 'notice'), rejected],
  ['403, guardrail', status(403, 'guardrail'), rejected],
  ['404', status(404, 'notice'), rejected],
  ['422', status(422, 'detail'), rejected],
  ['422, wrapped', status(422, 'wrapped'), rejected],
  ['422, string', status(422, 'string'), rejected],
  ['429', status(429, 'mistral'), limited],
  ['429, retry-after 1', status(429, 'gateway', { retryAfter: { seconds: 1 } }), limited],
  ['429, retry-after date', status(429, 'gateway', { retryAfter: { seconds: 1, as: 'date' } }), limited],
  ['429, retry-after too long', status(429, 'mistral', { retryAfter: { seconds: 8 } }), ['upstream_rate_limited 1']],
  ['500', status(500, 'mistral'), failed],
  ['500, conversation', status(500, 'conversation'), failed],
  ['503', status(503, 'mistral'), ['upstream_unavailable 3']],
  ['504, empty', status(504, 'empty'), failed],
  ['520, HTML', status(520, 'html'), failed],
  ['error inside 200', { errorInside200: { code: 503, bodyShape: 'openai' } }, ['upstream_unavailable 3']],
  ['latency', { latencyMs: 50 }, complete],
  ['hang', { hang: true }, ['upstream_timeout 3']],
  ['hang after 2 chunks', { hangAfter: { chunks: 2 } }, ['upstream_timeout 3', 'upstream_timeout 1']],
  ['reset at accept', { reset: { at: 'accept' } }, ['upstream_unavailable 3']],
  ['reset after the request', { reset: { at: 'request' } }, ['upstream_unavailable 3']],
  ['reset in the headers', { reset: { at: 'headers' } }, ['upstream_unavailable 3']],
  ['reset after 2 chunks', { reset: { afterChunks: 2 } }, brokenOff],
  ['reset inside a chunk', { reset: { afterChunks: 2.5 } }, brokenOff],
  ['truncated', { truncate: true }, brokenOff],
  ['bad JSON', { malformed: 'badJson' }, brokenOff],
  ['unknown chunk type', { malformed: 'unknownChunkType' }, complete],
  ['no choices', { malformed: 'missingChoices' }, brokenOff],
  ['empty choices', { malformed: 'emptyChoices' }, ['upstream_failed 3', 'complete 1']],
  ['usage null', { malformed: 'usageNull' }, complete],
  ['two finish chunks', { malformed: 'duplicateFinish' }, complete],
  ['error chunk', { errorChunk: 'mistral' }, brokenOff],
  ['error chunk, openai', { errorChunk: 'openai' }, brokenOff],
  ['finish reason error', { errorChunk: 'finish_reason' }, brokenOff],
  ['empty content', { emptyContent: true }, failed],
  ['trickle', { trickle: { bytesPerSec: 20_000 } }, complete],
  ['HTML for a type', { contentType: 'text/html' }, ['complete 1', 'upstream_failed 3']],
  ['JSON for a type', { contentType: 'application/json' }, ['complete 1', 'upstream_failed 3']],
  ['no type', { contentType: 'none' }, ['complete 1', 'upstream_failed 3']],
  ['oversize', { oversize: { bytes: 9 * 1024 * 1024 } }, brokenOff],
  ['gzip', { gzip: true }, failed],
  ['length too long', { wrongLength: 'tooLong' }, ['upstream_failed 3', 'complete 1']],
  ['length too short', { wrongLength: 'tooShort' }, brokenOff]
]

t.test('what each client makes of each fault', async (t) => {
  const rows = cases.flatMap(([name, fault, expected]) => [false, true].map((stream) => ({ name, fault, expected, stream })))
  const seen = new Map<(typeof rows)[number], Record<ClientName, Row>>()
  const todo = [...rows]
  await Promise.all(Array.from({ length: PARALLEL }, async () => {
    for (let row = todo.shift(); row !== undefined; row = todo.shift()) {
      const found: Partial<Record<ClientName, Row>> = {}
      for (const [client, make] of Object.entries(clients)) {
        found[client as ClientName] = await observe(t, make, row.fault, row.stream)
      }
      seen.set(row, found as Record<ClientName, Row>)
    }
  }))

  t.comment(['fault', 'way', ...Object.keys(clients)].map((title) => title.padEnd(26)).join(''))
  for (const row of rows) {
    const { name, expected: [whole, streamed = whole], stream } = row
    const found = seen.get(row)!
    const cells = Object.values(found).map(({ outcome, calls }) => `${outcome} ${calls}`)
    t.comment([name, stream ? 'stream' : 'whole', ...cells].map((cell) => cell.padEnd(26)).join(''))
    const { outcome, calls, text } = found.ours
    t.equal(`${outcome} ${calls}`, stream ? streamed : whole, `${name}, ${stream ? 'streamed' : 'whole'}`)
    t.ok(!stream || text === '' || calls === 1, `${name}: nothing is asked again after text was given out`)
    t.not(outcome, 'HANGS')
    t.not(outcome, 'not whole')
  }
})
