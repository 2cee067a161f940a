// B4 and B2: a stored turn without a framework, auth, limits or logs. Four operations, or the two writes that it cannot do without.
import { createServer } from 'node:http'
import { MongoClient } from 'mongodb'
import { request } from 'undici'

interface Message { sessionId: string, role: string, content: string, at: Date }

const lean = process.env['WRITES_ONLY'] === 'true'
const client = await new MongoClient(process.env['MONGODB_URI']!).connect()
const db = client.db('raw')
const messages = db.collection<Message>('messages')
await messages.createIndex({ sessionId: 1, at: -1 })
const sessions = db.collection<{ _id: string, at: Date }>('sessions')
const model = `${process.env['UPSTREAM']}/v1/chat/completions`

async function turn (sessionId: string, text: string): Promise<string> {
  const history = lean ? [] : (await messages.find({ sessionId }).sort({ at: -1 }).limit(20).toArray()).reverse()
  await messages.insertOne({ sessionId, role: 'user', content: text, at: new Date() })
  const prompt = [...history.map(({ role, content }) => ({ role, content })), { role: 'user', content: text }]
  const answer = await request(model, {
    method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ model: 'mistral-small-latest', messages: prompt })
  })
  const { choices: [choice] } = await answer.body.json() as { choices: [{ message: { content: string } }] }
  await messages.insertOne({ sessionId, role: 'assistant', content: choice.message.content, at: new Date() })
  if (!lean) await sessions.updateOne({ _id: sessionId }, { $set: { at: new Date() } }, { upsert: true })
  return JSON.stringify({ reply: choice.message.content })
}

createServer((incoming, response) => {
  const chunks: Buffer[] = []
  incoming.on('data', (chunk: Buffer) => chunks.push(chunk)).on('end', () => {
    const { message } = JSON.parse(Buffer.concat(chunks).toString()) as { message: string }
    turn(incoming.url!, message).then((body) => {
      response.writeHead(200, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) }).end(body)
    }, (error: unknown) => { response.writeHead(500).end(String(error)) })
  })
}).listen(Number(process.env['PORT']), '127.0.0.1')
