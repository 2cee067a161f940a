import OpenAI from 'openai'
import t from 'tap'
import { startAppWithSim } from '../sim.ts'

const { client, adminKey } = await startAppWithSim(t)
const openai = new OpenAI({ apiKey: adminKey, baseURL: `${client.url}/v1`, maxRetries: 0 })

t.test('a conversation goes on, whole or as it is written', async (t) => {
  const model = await client.createConfig({ name: 'Shop' })
  const whole = await openai.chat.completions.create({ model, messages: [{ role: 'user', content: 'Hello there' }] })
  t.match(whole, { object: 'chat.completion', choices: [{ message: { role: 'assistant', content: /^sim:.*Hello there$/ } }] })
  const stream = await openai.chat.completions.create({ model: 'Shop', stream: true, messages: [{ role: 'user', content: 'Hello there' }] })
  const chunks = await Array.fromAsync(stream)
  t.equal(chunks.map(({ choices }) => choices[0]?.delta.content ?? '').join(''), whole.choices[0]?.message.content)
})
