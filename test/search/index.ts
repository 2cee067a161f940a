import { type Binary, type Db, MongoClient, ObjectId, type WithId } from 'mongodb'
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

/** A store without a server around it; gives tenants of their own, whose index nobody is working on. */
export async function openIndexes (t: Test): Promise<() => Promise<TestIndex>> {
  const client = new MongoClient(await storeUri(), { ignoreUndefined: true })
  const db = client.db(databaseName())
  t.teardown(async () => {
    await db.dropDatabase()
    await client.close()
  })
  const store = await openStore(db)
  return async () => {
    const index = new TestIndex(db, store)
    await db.collection('configs').insertOne({ _id: index.configId, tenantId: index.tenantId, deletedAt: null })
    await index.lapse()
    return index
  }
}

/** The index of a tenant. */
export class TestIndex {
  readonly db: Db
  readonly store: Store
  readonly configId = new ObjectId()
  readonly tenantId = this.configId.toHexString()
  #clock = 0

  constructor (db: Db, store: Store) {
    this.db = db
    this.store = store
  }

  /** Says something in a session of its own. */
  async say (...texts: string[]): Promise<Said[]> {
    const [session, now] = [new ObjectId(), new Date()]
    const { tenantId, configId } = this
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

  async forget (...said: Said[]): Promise<void> {
    await new Forgetting(this.store.searchSegments, new Tables(this.store.searchSegments)).forget(this.tenantId, new Set(said.map(({ id }) => id)))
  }

  /** The texts that a search finds, the best first. `interruption`: before each of its steps in the index. */
  async find (q: string, interruption: Interruption = () => {}): Promise<string[]> {
    const { searchSegments, searchSources: sources, messages, chatbots } = this.store
    let step = 0
    const segments = interrupted(searchSegments, async () => { await interruption(++step) })
    const reader = new IndexReader(segments, new Tables(segments))
    const { data } = await new Finder({ reader, sources, messages, chatbots }).find({ tenantId: this.tenantId }, { q, limit: 50 })
    return data.map(({ message }) => message.content)
  }

  /** How many sessions are not indexed to their end. */
  async unindexed (): Promise<number> {
    return await this.db.collection('sessions').countDocuments({ tenantId: this.tenantId, unindexed: true })
  }

  async segments (): Promise<Array<WithId<{ state: string, count: number, buckets: number }>>> {
    return await this.db.collection<{ state: string, count: number, buckets: number }>('searchSegments').find({ tenantId: this.tenantId }).toArray()
  }

  /** The ids of all messages in the index. Throws where its parts do not fit together, or where it holds one twice. */
  async indexed (): Promise<Set<string>> {
    const found = new Set<string>()
    for (const { _id, state, count, buckets } of await this.segments()) {
      const id = String(_id)
      if (state !== 'ready') throw new Error(`the segment ${id} is ${state}`)
      const table = (await this.store.searchSegments.tables([id])).get(id)
      if (table?.times.length !== count) throw new Error('the table has other messages than the segment')
      const places = new Set<number>()
      for (const block of await this.store.searchSegments.blocks(Array.from({ length: buckets }, (_, bucket) => [id, bucket]))) {
        for (const [, postings] of decodeBlock(block!)) postings.forEach((place, i) => i % 2 === 0 && places.add(place))
      }
      if (places.size !== count || Math.max(...places) !== count - 1) throw new Error('the postings are of other messages')
      for (const place of places) {
        const message = idAt(table.ids, place)
        if (found.has(message)) throw new Error(`${message} is there twice`)
        found.add(message)
      }
    }
    return found
  }

  /** Whether some letters stand anywhere in what the indexes of all tenants have stored. */
  async holds (letters: string): Promise<boolean> {
    const blocks = await this.db.collection<{ data: Binary }>('searchBlocks').find().toArray()
    const tables = await this.db.collection('searchTables').find().toArray()
    return blocks.some(({ data }) => Buffer.from(data.buffer).includes(letters)) || JSON.stringify(tables).includes(letters)
  }

  /** How many tables and blocks belong to no segment, of whatever tenant. */
  async orphans (): Promise<number> {
    const of = async (name: string) => await this.db.collection<{ _id: string }>(name).find().project<{ _id: string }>({ _id: 1 }).toArray()
    const segments = new Set((await of('searchSegments')).map(({ _id }) => _id))
    const parts = [...await of('searchTables'), ...await of('searchBlocks')]
    return parts.filter(({ _id }) => !segments.has(_id.split(':')[0]!)).length
  }
}

/** Brings an index to where the next rounds index, merge and sweep. Answers what is to be in it then. */
async function prepare (index: TestIndex): Promise<Said[]> {
  const indexer = index.indexer()
  const said: Said[] = []
  for (let i = 0; i < 7; i++) {
    said.push(...await index.say(`apples ${index.tenantId}old${i}q`, 'pears'))
    await indexer.round()
  }
  await index.forget(said[0]!)
  await index.db.collection('messages').deleteOne({ _id: new ObjectId(said[0]!.id) })
  await index.lapse()
  return [...said.slice(1), ...await index.say('apples', 'pears')]
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

/** An indexer stalls at a step, is taken for dead, and goes on when another one has taken over. */
export async function stallAt (index: TestIndex, step: number): Promise<{ isReached: boolean, expected: Set<string> }> {
  let isReached = false
  const said = await prepare(index)
  const stalled = index.indexer(async (n) => {
    if (n !== step) return
    isReached = true
    await index.lapse()
    await index.run(index.indexer())
  })
  // What it finds changed under its hands may end it.
  await index.run(stalled).catch(() => {})
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
  const [fresh] = await index.say(`apples ${index.tenantId}freshq`)
  const whole = await index.say(`apples ${index.tenantId}wholeq`, `pears ${index.tenantId}wholeq`)
  const old = said[3]!
  let isSettling = false
  const indexer = index.indexer(async (n) => {
    if (n !== step || isSettling) return
    isReached = true
    await Promise.all([erase(index, old), erase(index, fresh!), purge(index, whole)])
  })
  await index.run(indexer)
  isSettling = true
  await index.run(indexer)
  return { isReached, expected: idsOf(said.filter((one) => one !== old)), erased: ['old2q', 'freshq', 'wholeq'].map((letters) => index.tenantId + letters) }
}

/** Erases a message as a change of its session does. */
async function erase (index: TestIndex, said: Said): Promise<void> {
  const [_id, sessionId] = [new ObjectId(said.id), new ObjectId(said.session)]
  const sessions = index.db.collection('sessions')
  await sessions.updateOne({ _id: sessionId }, { $set: { log: [{ type: 'message.deleted', messageId: _id }] }, $inc: { rev: 1 } })
  await index.forget(said)
  await index.db.collection('messages').updateOne({ _id }, { $set: { status: 'deleted', content: '' } })
  await sessions.updateOne({ _id: sessionId }, { $set: { log: [] } })
}

/** Deletes a session and purges it. */
async function purge (index: TestIndex, said: Said[]): Promise<void> {
  const _id = new ObjectId(said[0]!.session)
  await index.db.collection('sessions').updateOne({ _id }, { $set: { status: 'deleted' } })
  await index.forget(...said)
  await index.db.collection('messages').deleteMany({ sessionId: _id })
  await index.db.collection('sessions').deleteOne({ _id })
}
