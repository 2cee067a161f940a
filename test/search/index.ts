import { MongoClient, ObjectId, type Binary, type Db } from 'mongodb'
import { type Test } from 'tap'
import { Finder } from '../../src/search/finder.ts'
import { Forgetting } from '../../src/search/forgetting.ts'
import { IndexReader } from '../../src/search/index-reader.ts'
import { Indexer } from '../../src/search/indexer.ts'
import { decodeBlock } from '../../src/search/postings.ts'
import { idAt } from '../../src/search/segment.ts'
import { Tables } from '../../src/search/tables.ts'
import { openStore, type Store } from '../../src/store/store.ts'
import { databaseName, storeUri } from '../helper.ts'

export interface Said { readonly id: string, readonly session: string, readonly seq: number, readonly text: string }

/** What is done before the `n`-th step of the indexer, counted from 1. */
export type Interruption = (n: number) => Promise<void> | void

const STEPS = new Set(['unindexed', 'messagesOf', 'gone', 'advance', 'of', 'begin', 'writeBlocks', 'writeTable', 'drop', 'remove', 'mark', 'tables', 'blocks', 'find', 'marked'])

/** The same object, with something done before each of its steps. */
function interrupted<T extends object> (target: T, interrupt: () => Promise<void>): T {
  return new Proxy(target, {
    get (object, name) {
      const member: unknown = Reflect.get(object, name)
      if (typeof member !== 'function') return member
      const method = member.bind(object) as (...given: unknown[]) => unknown
      return STEPS.has(String(name)) ? async (...given: unknown[]) => { await interrupt(); return await method(...given) } : method
    }
  })
}

/** A store with an index, without a server around it. */
export class TestIndex {
  readonly db: Db
  readonly store: Store
  readonly #configs = new Map([['first', new ObjectId()], ['second', new ObjectId()]])
  #clock = 0

  constructor (db: Db, store: Store) {
    this.db = db
    this.store = store
  }

  static async open (t: Test): Promise<TestIndex> {
    const client = new MongoClient(await storeUri(), { ignoreUndefined: true })
    const db = client.db(databaseName())
    t.teardown(async () => {
      await db.dropDatabase()
      await client.close()
    })
    const index = new TestIndex(db, await openStore(db))
    await db.collection('configs').insertMany(Array.from(index.#configs, ([tenantId, _id]) => ({ _id, tenantId, deletedAt: null })))
    return index
  }

  /** Says something in a session of its own. */
  async say (tenantId: string, ...texts: string[]): Promise<Said[]> {
    const [session, now] = [new ObjectId(), new Date()]
    const configId = this.#configs.get(tenantId)
    const messages = texts.map((content, i) => ({
      _id: new ObjectId(),
      tenantId,
      configId,
      sessionId: session,
      userId: null,
      channel: null,
      seq: i + 1,
      rev: i + 1,
      parentId: null,
      role: 'user',
      content,
      timestamp: now,
      status: 'completed'
    }))
    await this.db.collection('messages').insertMany(messages)
    await this.db.collection('sessions').insertOne({
      _id: session,
      tenantId,
      configId,
      userId: null,
      channel: null,
      title: null,
      metadata: {},
      status: 'active',
      startedAt: now,
      lastActivity: now,
      nextSeq: texts.length + 1,
      rev: texts.length,
      turn: null,
      unindexed: true
    })
    return messages.map(({ _id, seq, content }) => ({ id: _id.toHexString(), session: session.toHexString(), seq, text: content }))
  }

  /** An indexer of its own, as another process has it. */
  indexer (interruption: Interruption = () => {}, log: (message: string) => void = () => {}): Indexer {
    const { searchSegments, searchSources, leases } = this.store
    let step = 0
    const interrupt = async () => { await interruption(++step) }
    const segments = interrupted(searchSegments, interrupt)
    return new Indexer({
      segments,
      sources: interrupted(searchSources, interrupt),
      leases,
      tables: new Tables(segments),
      log: { warn: (_, message) => { log(message) } },
      now: () => this.#clock
    })
  }

  /** Lets time pass for the indexers. */
  pass (ms: number): void {
    this.#clock += ms
  }

  /** As long as there is something to do, and once more after a while. */
  async run (indexer: Indexer): Promise<void> {
    // What is marked while a segment is written anew leaves it the next time.
    for (let times = 0; times < 4; times++) {
      while (await indexer.round()) { /* the next part */ }
      this.pass(6000)
    }
  }

  /** What a process that has died held. */
  async lapse (): Promise<void> {
    await this.db.collection<{ _id: string }>('leases').deleteMany({})
  }

  async forget (tenantId: string, ...said: Said[]): Promise<void> {
    await new Forgetting(this.store.searchSegments, new Tables(this.store.searchSegments)).forget(tenantId, new Set(said.map(({ id }) => id)))
  }

  /** The texts that a search finds, the best first. */
  async find (tenantId: string, q: string, query: { configId?: string, userId?: string, cursor?: string, limit?: number } = {}): Promise<string[]> {
    const { searchSegments, searchSources: sources, messages, chatbots } = this.store
    const reader = new IndexReader(searchSegments, new Tables(searchSegments))
    const { limit = 50, cursor, ...scope } = query
    const { data } = await new Finder({ reader, sources, messages, chatbots })
      .find({ tenantId, ...scope }, { q, limit, ...(cursor !== undefined && { cursor }) })
    return data.map(({ message }) => message.content)
  }

  /** The ids of all messages in the index. Throws where its parts do not fit together, or where it holds one twice. */
  async indexed (): Promise<Set<string>> {
    const [segments, tables, blocks] = await Promise.all(['searchSegments', 'searchTables', 'searchBlocks'].map(async (name) =>
      await this.db.collection<{ _id: string, state: string, count: number, buckets: number, data: Binary }>(name).find().toArray()))
    const found = new Set<string>()
    for (const { _id, state, count, buckets } of segments!) {
      if (state !== 'ready') throw new Error(`the segment ${_id} is ${state}`)
      const table = (await this.store.searchSegments.tables([_id])).get(_id)
      if (table?.times.length !== count) throw new Error('the table has other messages than the segment')
      const places = new Set<number>()
      for (let bucket = 0; bucket < buckets; bucket++) {
        const block = blocks!.find((block) => block._id === `${_id}:${bucket}`)!
        for (const [, postings] of decodeBlock(block.data.buffer)) postings.forEach((place, i) => i % 2 === 0 && places.add(place))
      }
      if (places.size !== count || Math.max(...places) !== count - 1) throw new Error('the postings are of other messages')
      for (const place of places) {
        const id = idAt(table.ids, place)
        if (found.has(id)) throw new Error(`${id} is there twice`)
        found.add(id)
      }
    }
    if (tables!.length !== segments!.length) throw new Error('a table without a segment')
    if (blocks!.length !== segments!.reduce((sum, { buckets }) => sum + buckets, 0)) throw new Error('a block without a segment')
    return found
  }

  /** Whether some letters stand anywhere in what the index has stored. */
  async holds (letters: string): Promise<boolean> {
    const blocks = await this.db.collection<{ data: Binary }>('searchBlocks').find().toArray()
    const tables = await this.db.collection('searchTables').find().toArray()
    return blocks.some(({ data }) => Buffer.from(data.buffer).includes(letters)) || JSON.stringify(tables).includes(letters)
  }
}

/** Brings an index to where the next rounds index, merge and sweep. Answers what is to be in it then. */
async function prepare (index: TestIndex): Promise<Said[]> {
  const indexer = index.indexer()
  const said: Said[] = []
  for (let i = 0; i < 7; i++) {
    said.push(...await index.say('first', `apples old${i}q`, 'pears'))
    await indexer.round()
  }
  await index.forget('first', said[0]!)
  await index.db.collection('messages').deleteOne({ _id: new ObjectId(said[0]!.id) })
  await index.lapse()
  return [...said.slice(1), ...await index.say('first', 'apples', 'pears')]
}

const idsOf = (said: Said[]) => new Set(said.map(({ id }) => id))

/** An indexer dies at a step of its work, and another one takes over. */
export async function dieAt (index: TestIndex, step: number): Promise<{ isReached: boolean, expected: Set<string> }> {
  let isReached = false
  const said = await prepare(index)
  const dying = index.indexer((n) => {
    if (n < step) return
    isReached = true
    throw new Error('killed')
  })
  await index.run(dying).catch(() => {})
  await index.lapse()
  await index.run(index.indexer())
  return { isReached, expected: idsOf(said) }
}

/** At a step of the indexer, two messages are erased and a session is purged. `erased`: some letters of them. */
export async function eraseAt (
  index: TestIndex, step: number
): Promise<{ isReached: boolean, expected: Set<string>, erased: string[] }> {
  let isReached = false
  const said = await prepare(index)
  const [fresh] = await index.say('first', 'apples freshq')
  const whole = await index.say('first', 'apples wholeq', 'pears wholeq')
  const old = said[3]!
  const indexer = index.indexer(async (n) => {
    if (n !== step) return
    isReached = true
    await Promise.all([erase(index, old), erase(index, fresh!), purge(index, whole)])
  })
  await index.run(indexer)
  await index.run(indexer)
  return { isReached, expected: idsOf(said.filter((one) => one !== old)), erased: ['old2q', 'freshq', 'wholeq'] }
}

/** Erases a message as a change of its session does. */
async function erase (index: TestIndex, said: Said): Promise<void> {
  const [_id, sessionId] = [new ObjectId(said.id), new ObjectId(said.session)]
  const sessions = index.db.collection('sessions')
  await sessions.updateOne({ _id: sessionId }, { $set: { log: [{ type: 'message.deleted', messageId: _id }] }, $inc: { rev: 1 } })
  await index.forget('first', said)
  await index.db.collection('messages').updateOne({ _id }, { $set: { status: 'deleted', content: '' } })
  await sessions.updateOne({ _id: sessionId }, { $set: { log: [] } })
}

/** Deletes a session and purges it. */
async function purge (index: TestIndex, said: Said[]): Promise<void> {
  const _id = new ObjectId(said[0]!.session)
  await index.db.collection('sessions').updateOne({ _id }, { $set: { status: 'deleted' } })
  await index.forget('first', ...said)
  await index.db.collection('messages').deleteMany({ sessionId: _id })
  await index.db.collection('sessions').deleteOne({ _id })
}
