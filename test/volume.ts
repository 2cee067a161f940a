import { readFile } from 'node:fs/promises'
import { ObjectId, type Db } from 'mongodb'

/** How many messages the tests of volume are about: enough to see that nothing grows with them, or as many as are asked for. */
export const MESSAGES = Number(process.env['VOLUME'] ?? 200_000)

const BATCH = 10_000
const SMALL = 100
const SAMPLE_MS = 50

const QUESTION = 'Where is my parcel, and when will it be here? It was to arrive on Monday, and nobody has rung since.'

/** A chatbot as it is stored. */
export function chatbotDocument (_id: ObjectId, now: Date) {
  return {
    _id,
    tenantId: 'default',
    name: 'Big',
    purpose: 'Help.',
    domain: [],
    tone: { style: 'friendly', language: 'en' },
    channels: [],
    integrations: [],
    instructions: '',
    model: {},
    historyLimit: 20,
    version: 1,
    createdAt: now,
    updatedAt: now,
    deletedAt: null
  }
}

/** Makes a chatbot with one session of half of the messages and many of the other half, and gives its id. */
export async function fillWithMessages (db: Db, messages: number, text = QUESTION): Promise<string> {
  const [configId, now, tenantId] = [new ObjectId(), new Date(), 'default']
  await db.collection('configs').insertOne(chatbotDocument(configId, now))
  const common = { tenantId, configId, userId: 'somebody', channel: null }
  const sessions = Array.from({ length: messages / 2 / SMALL + 1 }, (_, i) => (
    { _id: new ObjectId(), size: i === 0 ? messages / 2 : SMALL }
  ))
  await db.collection('sessions').insertMany(sessions.map(({ _id, size }) => ({
    _id,
    ...common,
    title: null,
    metadata: {},
    status: 'active',
    startedAt: now,
    lastActivity: now,
    nextSeq: size + 1,
    rev: size,
    turn: null
  })))
  let batch: object[] = []
  for (const { _id, size } of sessions) {
    for (let seq = 1; seq <= size; seq++) {
      batch.push({
        ...common,
        sessionId: _id,
        seq,
        rev: seq,
        parentId: null,
        role: seq % 2 ? 'user' : 'bot',
        content: `${seq} ${text}`,
        timestamp: now,
        status: 'completed'
      })
      if (batch.length < BATCH) continue
      await db.collection('messages').insertMany(batch)
      batch = []
    }
  }
  return configId.toHexString()
}

/** Resident memory of a process, in MiB; of it, `anonymous` leaves out the files that are mapped. Linux only. */
export async function memoryOf (pid: number): Promise<{ all: number, anonymous: number }> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8')
  const kibibytes = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(status)?.[1])
  return { all: kibibytes('VmRSS') / 1024, anonymous: kibibytes('RssAnon') / 1024 }
}

/** The most memory that a process had during `work`. */
export async function peakDuring<T> (
  pid: number, work: Promise<T>
): Promise<{ result: T, all: number, anonymous: number }> {
  const peak = { all: 0, anonymous: 0 }
  const timer = setInterval(() => {
    void memoryOf(pid).then(({ all, anonymous }) => {
      peak.all = Math.max(peak.all, all)
      peak.anonymous = Math.max(peak.anonymous, anonymous)
    })
  }, SAMPLE_MS)
  return { result: await work.finally(() => clearInterval(timer)), ...peak }
}
