// The usual stack taken literally: Express, Mongoose, axios, jsonwebtoken, express-rate-limit.
import axios from 'axios'
import express from 'express'
import { rateLimit } from 'express-rate-limit'
import jwt from 'jsonwebtoken'
import mongoose from 'mongoose'

const { PORT, MONGODB_URI, UPSTREAM, JWT_SECRET } = process.env

const Message = mongoose.model('Message', new mongoose.Schema({ sessionId: String, role: String, content: String }, { timestamps: true })
  .index({ sessionId: 1, createdAt: -1 }))
const Session = mongoose.model('Session', new mongoose.Schema({ _id: String, at: Date }))
await mongoose.connect(MONGODB_URI, { dbName: 'literal' })

const app = express()
app.use(rateLimit({ windowMs: 60_000, limit: 1_000_000_000 }))
app.use(express.json())
app.use((request, response, next) => {
  request.user = jwt.verify(request.headers.authorization.slice(7), JWT_SECRET)
  next()
})

const ask = async (messages) => (await axios.post(`${UPSTREAM}/v1/chat/completions`, { model: 'mistral-small-latest', messages })).data

app.post('/v1/chat/completions', async (request, response) => { response.json(await ask(request.body.messages)) })

app.post('/sessions/:id/messages', async (request, response) => {
  const { params: { id: sessionId }, body: { message: content } } = request
  const history = (await Message.find({ sessionId }).sort({ createdAt: -1 }).limit(20)).reverse()
  await Message.create({ sessionId, role: 'user', content })
  const { choices: [{ message }] } = await ask([...history.map(({ role, content }) => ({ role, content })), { role: 'user', content }])
  await Message.create({ sessionId, role: 'assistant', content: message.content })
  await Session.updateOne({ _id: sessionId }, { at: new Date() }, { upsert: true })
  response.json({ reply: message.content })
})

app.listen(Number(PORT), '127.0.0.1')
