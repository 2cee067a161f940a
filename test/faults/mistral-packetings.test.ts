import fc from 'fast-check'
import t from 'tap'
import { type Completion } from '../../src/llm/mistral/answer/answer-reader.ts'
import { StreamReader } from '../../src/llm/mistral/answer/stream-reader.ts'
import { chunk } from '../llm/mistral-upstream.ts'

const RUNS = 10_000

function read (packets: Iterable<Uint8Array>): { text: string, end: Completion | string | undefined } {
  let text = ''
  let end: Completion | string | undefined
  const reader = new StreamReader({
    text: (part) => { text += part },
    alive: () => {},
    ignored: () => {},
    complete: (completion) => { end = completion },
    fail: (error) => { end = error.message }
  })
  for (const packet of packets) reader.bytes(Buffer.from(packet))
  reader.ended()
  return { text, end }
}

/** Cuts bytes at places given as shares of their length. */
function * cutAt (bytes: Buffer, shares: number[]): Generator<Buffer> {
  const places = shares.map((share) => Math.floor(share * bytes.length)).sort((a, b) => a - b)
  for (const [index, end] of [...places, bytes.length].entries()) yield bytes.subarray(places[index - 1] ?? 0, end)
}

const word = fc.oneof(fc.string({ unit: 'grapheme', maxLength: 8 }), fc.constantFrom('é', '世界', '👩‍🚀', '\u2028', '\ufeff', '\r\n', '"'))
const content = fc.oneof(word, word.map((text) => [{ type: 'text', text }]))
const between = fc.constantFrom('', ': keep-alive', 'event: message', 'retry: 10', 'id: 7')
const share = fc.double({ min: 0, max: 1, noNaN: true })

const textOf = (part: string | Array<{ text: string }>): string => typeof part === 'string' ? part : part.map(({ text }) => text).join('')

t.test('a stream says the same in whatever packets it comes', async (t) => {
  const usage = { prompt_tokens: 3, completion_tokens: 5, total_tokens: 8 }
  fc.assert(fc.property(
    fc.array(fc.tuple(content, between), { minLength: 1, maxLength: 12 }), fc.array(share, { maxLength: 40 }),
    fc.constantFrom('\n', '\r\n', '\r'), fc.boolean(), fc.boolean(),
    (parts, shares, eol, spaced, closed) => {
      const line = (data: string): string => `data:${spaced ? ' ' : ''}${data}${eol}`
      const events = parts.map(([said, field]) => (field === '' ? '' : field + eol) + line(JSON.stringify(chunk(said))) + eol)
      const last = line(JSON.stringify(chunk('.', 'stop', { usage }))) + eol
      const bytes = Buffer.from(events.join('') + last + (closed ? line('[DONE]') + eol : ''))
      const { text, end } = read(cutAt(bytes, shares))
      const complete = typeof end === 'object' && end.finishReason === 'stop' && end.usage?.totalTokens === 8
      return complete && text === parts.map(([said]) => textOf(said)).join('') + '.'
    }
  ), { numRuns: RUNS })
  t.pass(`${RUNS} random packetings of random streams`)
})
