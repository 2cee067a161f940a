import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { type Binary, type Db, MongoClient, ObjectId } from 'mongodb'
import t, { type Test } from 'tap'
import { type SearchPage } from '../../schemas/search.ts'
import { newApiKey } from '../../src/auth/api-key.ts'
import { startEmbeddedStore } from '../../src/embedded-mongo/index.ts'
import { type Client, startApp, temporaryFolder } from '../helper.ts'
import { ServerProcess } from '../server-process.ts'
import { chatbotDocument, memoryOf, MESSAGES } from '../volume.ts'

const DATA = new URL('../../../shared/data/knowledge-qa.json', import.meta.url)
const REQUIRED_PERCENT = 92

const PER_SESSION = 20
const CONFIGS = 20
const USERS = 5000
const SESSIONS_AT_ONCE = 500
const P95_MS = 50
const SEARCHES = 200
// Other work on the machine can make one round slow, but not the best of several.
const ROUNDS = 4

t.setTimeout(1_200_000)

interface Written { readonly text: string, readonly tenantId?: string }

/** Writes messages as they are after turns, in sessions of 20 that take turns with the chatbots, and gives the ids of these. */
async function write (db: Db, count: number, messageAt: (n: number) => Written): Promise<string[]> {
  const configs = Array.from({ length: CONFIGS }, () => new ObjectId())
  const now = new Date()
  await db.collection('configs').insertMany(configs.map((_id) => chatbotDocument(_id, now)))
  for (let n = 0; n < count;) {
    const sessions: object[] = []
    const messages: object[] = []
    while (sessions.length < SESSIONS_AT_ONCE && n < count) {
      const [_id, size] = [new ObjectId(), Math.min(PER_SESSION, count - n)]
      const { tenantId = 'default' } = messageAt(n)
      const of = { tenantId, configId: configs[sessions.length % CONFIGS], userId: `user-${Math.floor(n / PER_SESSION) % USERS}`, channel: null }
      for (let seq = 1; seq <= size; seq++, n++) {
        const timestamp = new Date(now.getTime() - (count - n) * 1000)
        messages.push({ ...of, sessionId: _id, seq, rev: seq, parentId: null, role: 'user', content: messageAt(n).text, timestamp, status: 'completed' })
      }
      sessions.push({
        _id, ...of, title: null, metadata: {}, status: 'active', startedAt: now, lastActivity: now, nextSeq: size + 1, rev: size, turn: null, unindexed: true
      })
    }
    await db.collection('messages').insertMany(messages)
    await db.collection('sessions').insertMany(sessions)
  }
  return configs.map((id) => id.toHexString())
}

async function search (client: Client, query: Record<string, string>): Promise<SearchPage['data']> {
  const { status, body } = await client.ask<SearchPage>(`/api/messages/search?${new URLSearchParams(query).toString()}`)
  if (status !== 200) throw new Error(JSON.stringify(body))
  return body.data
}

async function indexed (db: Db): Promise<void> {
  while (await db.collection('sessions').countDocuments({ unindexed: true }, { limit: 1 }) > 0) await delay(500)
}

t.test('the paragraph that answers a question is among the first five', {
  skip: existsSync(DATA) ? false : 'no ../shared/data/knowledge-qa.json beside the checkout'
}, async (t) => {
  const { paragraphs } = JSON.parse(readFileSync(DATA, 'utf8')) as { paragraphs: Array<{ text: string, questions: Array<{ question: string }> }> }
  const { client, db } = await startApp(t)
  await write(db, paragraphs.length, (n) => ({ text: paragraphs[n]!.text }))
  await indexed(db)
  let [questions, hits] = [0, 0]
  for (const { text, questions: asked } of paragraphs) {
    for (const { question } of asked) {
      questions++
      const found = await search(client, { q: question, limit: '5' })
      if (found.some(({ message }) => message.content === text)) hits++
    }
  }
  const percent = 100 * hits / questions
  t.ok(percent >= REQUIRED_PERCENT, `${percent.toFixed(1)} % of ${questions} questions`)
})

const SYLLABLES = 'ka to mi ren sol ver dan pi lo gra ne tu shi bor el wen fa ju zor qui'.split(' ')

/** The words of a language that nobody speaks: the first ones are in nearly every message, the last ones in hardly any. */
class Language {
  #seed = 1

  random (): number {
    this.#seed = (Math.imul(this.#seed, 1_103_515_245) + 12_345) >>> 0
    return (this.#seed >>> 8) / 2 ** 24
  }

  /** By Zipf's law: the n-th word is said n times more rarely than the first. */
  word (vocabulary = 60_000): string {
    return this.nth(Math.floor(vocabulary ** this.random()))
  }

  nth (n: number): string {
    return [n % 20, Math.floor(n / 20) % 20, Math.floor(n / 400) % 20, Math.floor(n / 8000)].map((i) => SYLLABLES[i]).join('')
  }

  words (count: number): string {
    return Array.from({ length: count }, () => this.word()).join(' ')
  }
}

const at = (share: number, sorted: readonly number[]) => Math.round(sorted[Math.floor(share * (sorted.length - 1))]! * 10) / 10

/** Searches again and again. Fails where no round has nearly all of its answers in time. */
async function measure (t: Test, name: string, work: () => Promise<unknown>): Promise<void> {
  let p95 = Infinity
  for (let round = 0; round < ROUNDS && p95 > P95_MS; round++) {
    const times: number[] = []
    for (let n = 0; n < SEARCHES; n++) {
      const started = performance.now()
      await work()
      times.push(performance.now() - started)
    }
    times.sort((a, b) => a - b)
    p95 = at(0.95, times)
    t.comment(`${name}: p50 ${at(0.5, times)}, p95 ${p95}, max ${at(1, times)} ms`)
  }
  t.ok(p95 <= P95_MS, name)
}

t.test(`a search among ${MESSAGES} messages is quick, and what is deleted leaves the index`, async (t) => {
  const [dataDir, key] = [await temporaryFolder(t), newApiKey()]
  const language = new Language()
  const store = await startEmbeddedStore({ dataDir })
  const seeding = new MongoClient(store.uri)
  const isForeign = (n: number) => Math.floor(n / PER_SESSION) % 50 === 49
  const configs = await write(seeding.db('parley'), MESSAGES, (n) =>
    isForeign(n) ? { tenantId: 'others', text: `foreign ${language.words(24)}` } : { text: language.words(25) })
  await seeding.close()
  await store.close()

  const server = new ServerProcess(t, { PORT: '0', DATA_DIR: dataDir, BOOTSTRAP_API_KEY: key, RATE_LIMIT_PER_MINUTE: '0' })
  const client = await server.client(key)
  const mongo = new MongoClient(`mongodb://${encodeURIComponent(join(dataDir, 'mongodb.sock'))}/?directConnection=true`)
  t.teardown(async () => await mongo.close())
  const db = mongo.db('parley')
  const started = performance.now()
  await indexed(db)
  const segments = await db.collection('searchSegments').find().toArray()
  t.comment(`indexed in ${Math.round((performance.now() - started) / 1000)} s: ${segments.length} segments, ` +
    `${Math.round(segments.reduce((sum, { bytes }) => sum + Number(bytes), 0) / 2 ** 20)} MiB, ${Math.round((await memoryOf(server.child.pid!)).anonymous)} MiB in use`)

  let found = 0
  const random = (count: number) => Math.floor(language.random() * count)
  const searching = (query: () => Record<string, string>) => async () => {
    const hits = await search(client, query())
    found += hits.length
    if (hits.some(({ message }) => message.content.startsWith('foreign'))) t.fail('the text of another tenant')
  }
  const day = (n: number) => new Date(Date.now() - n * 86_400_000).toISOString()
  await measure(t, 'two words', searching(() => ({ q: language.words(2) })))
  await measure(t, 'eight words', searching(() => ({ q: language.words(8) })))
  await measure(t, 'common words', searching(() => ({ q: [0, 1, 2].map((n) => language.nth(n + random(10))).join(' ') })))
  await measure(t, 'of a chatbot', searching(() => ({ q: language.words(5), configId: configs[random(CONFIGS)]! })))
  await measure(t, 'of a user', searching(() => ({ q: language.words(5), userId: `user-${random(USERS)}` })))
  await measure(t, 'of a day', searching(() => ({ q: language.words(5), from: day(6), to: day(5) })))
  t.ok(found > 6 * SEARCHES, `${found} were found`)
  t.same(await search(client, { q: 'foreign' }), [])

  const gone = configs[0]!
  const deleted = performance.now()
  t.equal((await client.ask(`/api/configs/${gone}`, { method: 'DELETE' })).status, 204)
  t.same(await search(client, { q: language.nth(20), configId: gone }), [], 'at once')
  while (await db.collection('configs').countDocuments({ _id: new ObjectId(gone) }) > 0) await delay(500)
  t.comment(`${MESSAGES / CONFIGS} messages purged in ${Math.round((performance.now() - deleted) / 1000)} s`)
  while (await db.collection('searchSegments').countDocuments({ marked: true }) > 0) await delay(500)
  t.comment(`out of the index after ${Math.round((performance.now() - deleted) / 1000)} s`)
  for await (const { data } of db.collection<{ data: Binary }>('searchBlocks').find()) {
    if (Buffer.from(data.buffer).includes(gone)) t.fail('a trace of the chatbot in the index')
  }
  t.equal((await server.end()).code, 0)
})
