/** The things of one small story, for the examples of the document. */
export const configId = '6650a1f2c3d4e5f601234567'
export const sessionId = '6650a1f2c3d4e5f601234568'
export const userMessageId = '6650a1f2c3d4e5f601234569'
export const botMessageId = '6650a1f2c3d4e5f60123456a'
export const begun = '2026-03-02T09:29:58.400Z'
export const ended = '2026-03-02T09:30:00.000Z'

export const settings = {
  name: 'Shipping desk',
  purpose: 'Answer questions about orders and delivery.',
  domain: ['shipping', 'returns'],
  tone: { style: 'friendly', language: 'en' },
  channels: [],
  integrations: [],
  instructions: 'Orders ship within two days. Returns are free for 30 days.',
  model: { temperature: 0.3 },
  fallback: 'offline',
  historyLimit: 20,
  titles: true,
  summaries: true
}

export const session = {
  id: sessionId,
  sessionId,
  configId,
  configVersion: null,
  userId: 'customer-17',
  channel: 'web',
  title: 'Delivery times',
  metadata: { shop: 'north' },
  status: 'active',
  branchId: sessionId,
  messageCount: 2,
  startedAt: begun,
  lastActivity: ended
}

export const userMessage = {
  id: userMessageId,
  sessionId,
  seq: 1,
  parentId: null,
  branchId: sessionId,
  role: 'user',
  content: 'When will my order ship?',
  timestamp: begun,
  status: 'completed'
}

const reply = {
  id: botMessageId, sessionId, seq: 2, parentId: userMessageId, branchId: sessionId, role: 'bot', timestamp: begun, replyTo: userMessageId, configVersion: 1
}

export const begunReply = { ...reply, content: '', status: 'streaming' }

export const botMessage = {
  ...reply,
  content: 'Orders ship within two days.',
  status: 'completed',
  model: 'mistral-small-latest',
  finishReason: 'stop',
  usage: { promptTokens: 96, completionTokens: 8, totalTokens: 104, costUsd: 0.000012 }
}

export const feedback = { rating: 'up', tags: ['helpful'], at: ended }
