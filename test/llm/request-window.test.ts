import t from 'tap'
import { findModel, windowOf } from '../../src/llm/models.ts'
import { costUsd } from '../../src/llm/prices.ts'
import { buildRequestBody } from '../../src/llm/mistral/request/request-body.ts'
import { type GenerationRequest, type PromptMessage } from '../../src/llm/provider.ts'
import { estimateUsage } from '../../src/llm/usage.ts'
import { ask } from './mistral-upstream.ts'

interface Sent { role: string, content: string }

/** What of the messages is sent. A text `A 96` is `A` made so long that its message is estimated at 96 tokens. */
function sentOf (texts: string[], windowTokens: number | undefined, model: GenerationRequest['model'] = {}): string[] {
  const messages = texts.map(messageOf)
  const window = windowTokens === undefined ? {} : { windowTokens }
  const options = { model: model.name ?? 'unknown', stream: false, ...window }
  const body = JSON.parse(buildRequestBody({ ...ask(''), messages, model }, options)) as { messages: Sent[] }
  return body.messages.map(({ content }) => content.split(' ')[0]!)
}

function messageOf (text: string): PromptMessage {
  const [name = '', tokens = '5'] = text.split(' ')
  const content = `${name} `.padEnd((Number(tokens) - 4) * 4, 'x')
  if (name.startsWith('S')) return { role: 'system', content }
  if (name.startsWith('A')) return { role: 'assistant', content }
  if (name.startsWith('C')) {
    return { role: 'assistant', content, toolCalls: [{ id: 'abcdefghi', name: 'f', arguments: '{}' }] }
  }
  if (name.startsWith('T')) return { role: 'tool', content, toolCallId: 'abcdefghi' }
  return { role: 'user', content }
}

t.test('the oldest exchanges go first, whole, until prompt and reply fit', (t) => {
  const conversation = ['S 100', 'U1 100', 'A1 100', 'U2 100', 'A2 100', 'U3 100']
  const maxTokens = 310
  // 600 tokens by estimate, 690 with the margin.
  t.strictSame(sentOf(conversation, 1000, { maxTokens }), ['S', 'U1', 'A1', 'U2', 'A2', 'U3'])
  t.strictSame(sentOf(conversation, 999, { maxTokens }), ['S', 'U2', 'A2', 'U3'], 'one token too many')
  t.strictSame(sentOf(conversation, 770, { maxTokens }), ['S', 'U2', 'A2', 'U3'])
  t.strictSame(sentOf(conversation, 769, { maxTokens }), ['S', 'U3'])
  t.strictSame(sentOf(conversation, 1, { maxTokens }), ['S', 'U3'], 'what cannot fit is the model\'s to refuse')
  t.strictSame(sentOf(conversation.slice(1), 999, { maxTokens }), ['U1', 'A1', 'U2', 'A2', 'U3'])
  t.strictSame(sentOf(conversation.slice(1), 800, { maxTokens }), ['U2', 'A2', 'U3'], 'without system text')
  t.end()
})

t.test('an exchange is a message of the user with all that follows it', (t) => {
  const rounds = ['S 100', 'U1 100', 'C1 100', 'T1 100', 'A1 100', 'U2 100', 'C2 100', 'T2 100']
  t.strictSame(sentOf(rounds, 920), ['S', 'U2', 'C2', 'T2'], 'rounds of tools are never cut')
  t.strictSame(sentOf(rounds, 10), ['S', 'U2', 'C2', 'T2'], 'nor is the newest exchange, which may end with a tool')
  const greeted = ['A0 500', 'A0b 500', 'U1 100', 'A1 100', 'U2 100']
  t.strictSame(sentOf(greeted, 800), ['U1', 'A1', 'U2'], 'a greeting goes first, whole')
  t.strictSame(sentOf(['A0 500', 'U1 100'], 10_000), ['A0', 'U1'], 'and stays where there is room')
  t.strictSame(sentOf(['U1 500', 'U2 500', 'U3 100'], 1000), ['U2', 'U3'], 'questions without a reply go one by one')
  t.strictSame(sentOf(['C1 500', 'T1 500'], 100), ['C1', 'T1'], 'without a user there is nothing to cut by')
  t.end()
})

t.test('room is kept for a reply of unknown length', (t) => {
  const two = (tokens: number) => [`U1 ${tokens}`, 'A1', 'U2']
  t.equal(sentOf(two(639), 1000).length, 3, 'a quarter of a small window')
  t.equal(sentOf(two(643), 1000).length, 1)
  t.equal(sentOf(two(83_380), 100_000).length, 3, '4096 tokens of a large one')
  t.equal(sentOf(two(83_390), 100_000).length, 1)
  t.end()
})

t.test('the window is that of the model', (t) => {
  const long = ['U1 50000', 'A1', 'U2']
  t.equal(sentOf(long, undefined, { name: 'mistral-large-latest' }).length, 3)
  t.equal(sentOf(long, undefined, { name: 'llama3.2' }).length, 1, 'a model that is not known gets a careful guess')
  t.equal(sentOf(long, 100_000, { name: 'llama3.2' }).length, 3, 'what was learned of it counts')
  t.equal(sentOf(long, 20_000, { name: 'mistral-large-latest' }).length, 1)
  for (const [name, window] of Object.entries({
    'mistral-medium-latest': 256_000,
    'codestral-latest': 128_000,
    'zai-glm-5-2': 1_000_000,
    'voxtral-small-2507': 32_000
  })) t.equal(windowOf(name), window, name)
  t.equal(windowOf('constructor'), 32_000)
  t.strictSame(findModel('mistral-large-latest'), findModel('mistral-large-2512'))
  t.end()
})

t.test('cached tokens cost a tenth, and an unknown model costs nothing that is known', (t) => {
  const usage = { promptTokens: 1_000_000, completionTokens: 100_000, totalTokens: 1_100_000 }
  t.equal(costUsd('mistral-medium-3-5', usage), 2.25)
  t.equal(costUsd('mistral-medium-3-5', { ...usage, cachedTokens: 400_000 }), 1.71)
  t.equal(costUsd('zai-glm-5-2', { ...usage, cachedTokens: 1_000_000 }), 0.58)
  t.equal(costUsd('mistral-unheard-of', usage), undefined)
  t.end()
})

t.test('calls of tools count in an estimate', (t) => {
  const plain = estimateUsage([{ role: 'assistant', content: '' }], '')
  const toolCalls = [{ id: 'a', name: 'f123', arguments: '{}' }]
  const calling = estimateUsage([{ role: 'assistant', content: '', toolCalls }], 'four')
  t.strictSame(plain, { promptTokens: 4, completionTokens: 0, totalTokens: 4, estimated: true })
  t.strictSame(calling, { promptTokens: 6, completionTokens: 1, totalTokens: 7, estimated: true })
  t.end()
})
