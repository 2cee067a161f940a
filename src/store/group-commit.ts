import {
  type AnyClientBulkWriteModel, type Db, type Document, MongoBulkWriteError, MongoClientBulkWriteError, MongoNetworkTimeoutError, MongoServerError
} from 'mongodb'

/** One document that is inserted or updated. */
export type Write = Extract<AnyClientBulkWriteModel<Document>, { name: 'insertOne' | 'updateOne' }>

/** What one caller has to write: in order, and what comes behind a write that is refused is not done. */
export interface Part<T> {
  readonly writes: readonly Write[]
  /** Does it where nobody else writes. */
  alone (): Promise<T>
  /** What comes of it where it was done together with others. `matched`: how many documents each write has met, an insert one. */
  together (matched: readonly number[]): T | Promise<T>
}

interface Waiting {
  readonly part: Part<unknown>
  readonly resolve: (value: unknown) => void
  readonly reject: (error: unknown) => void
}

// While so many commands are on their way, whatever comes waits and goes together.
const MAX_IN_FLIGHT = 2
// What is held up for so long goes in any case, so that a command that hangs does not hold up the others.
const MAX_WAIT_MS = 100
const MAX_WRITES = 1000
// A large command never ends where the other side has stopped to read and keeps the connection. Whoever waits for one is told.
const PATIENCE_MS = 15_000

const nothing = () => {}
/** How many documents each write has met, by what the server says of updates. */
function matchedBy (writes: readonly Write[], updates?: ReadonlyMap<number, { readonly matchedCount: number }>): number[] {
  return writes.map(({ name }, i) => name === 'insertOne' ? 1 : updates?.get(i)?.matchedCount ?? 0)
}

/** Which write of a command was refused, and why. Undefined: the command has failed as a whole. */
function refusalIn (error: unknown): { index: number, error: MongoServerError } | undefined {
  const [index, refusal] = error instanceof MongoClientBulkWriteError
    ? [...error.writeErrors][0] ?? []
    : error instanceof MongoBulkWriteError
      ? [[error.writeErrors].flat()[0]?.index, error]
      : []
  if (index === undefined || !refusal) return undefined
  return { index, error: new MongoServerError({ message: refusal.message, ...(refusal.code !== undefined && { code: Number(refusal.code) }) }) }
}

/**
 * Lets writes of concurrent callers travel together: a command costs more than what is in it. What is handed in at one moment
 * goes out at once while few are on their way; what comes meanwhile waits for the next one to be back. So whoever is alone waits for nobody, and the
 * commands grow with the load. Each caller is told of its own writes, and of nothing before they are stored.
 */
export class GroupCommit {
  readonly #db: Db
  /** Whether the server knows commands over several collections, with a result for each write: MongoDB 8 does. */
  readonly #knowsBulkWrite: boolean
  readonly #patienceMs: number
  #inFlight = 0
  #underway = 0
  #waiting: Waiting[] = []
  #timer: NodeJS.Timeout | undefined
  #isDue = false

  /** `patienceMs`: what the store has not answered by then may have been done or not, as if the connection had been lost. */
  constructor (db: Db, knowsBulkWrite: boolean, patienceMs = PATIENCE_MS) {
    this.#db = db
    this.#knowsBulkWrite = knowsBulkWrite
    this.#patienceMs = patienceMs
  }

  /** How many callers wait for their writes to be stored. */
  get underway (): number {
    return this.#underway
  }

  async do<T> (part: Part<T>): Promise<T> {
    this.#underway++
    try {
      return await new Promise<T>((resolve, reject) => {
        this.#waiting.push({ part, resolve: resolve as (value: unknown) => void, reject })
        this.#timer ??= setTimeout(() => this.#send(), MAX_WAIT_MS)
        this.#sendSoon()
      })
    } finally {
      this.#underway--
    }
  }

  /** When whoever else has something to write at this moment has handed it in. */
  #sendSoon (): void {
    if (this.#isDue || this.#inFlight >= MAX_IN_FLIGHT) return
    this.#isDue = true
    process.nextTick(() => {
      this.#isDue = false
      if (this.#waiting.length > 0 && this.#inFlight < MAX_IN_FLIGHT) this.#send()
    })
  }

  /** Whoever waits goes when this is over. */
  #follow (command: Promise<unknown>): void {
    this.#inFlight++
    command.catch(nothing).finally(() => {
      this.#inFlight--
      if (this.#waiting.length > 0) this.#sendSoon()
    })
  }

  /** Sends what waits. */
  #send (): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    do {
      this.#follow(this.#inTime(this.#next()))
    } while (this.#waiting.length > 0 && this.#inFlight < MAX_IN_FLIGHT)
    if (this.#waiting.length > 0) this.#timer = setTimeout(() => this.#send(), MAX_WAIT_MS)
  }

  /** Those that come first, as many as go together. */
  #next (): Waiting[] {
    let size = 0
    const end = this.#waiting.findIndex(({ part }) => (size += part.writes.length) > MAX_WRITES)
    return this.#waiting.splice(0, end === -1 ? this.#waiting.length : Math.max(1, end))
  }

  /** What is said after that is heard by nobody. */
  async #inTime (group: Waiting[]): Promise<void> {
    const late = Promise.withResolvers<void>()
    const timer = setTimeout(() => {
      const error = new MongoNetworkTimeoutError(`no answer within ${this.#patienceMs} ms`)
      for (const { reject } of group) reject(error)
      late.resolve()
    }, this.#patienceMs)
    await Promise.race([this.#write(group), late.promise]).finally(() => { clearTimeout(timer) })
  }

  async #write (group: Waiting[]): Promise<void> {
    if (group.length === 1) return await this.#alone(group)
    if (this.#knowsBulkWrite) {
      return await this.#together(group, async (writes) => {
        const { updateResults } = await this.#db.client.bulkWrite(writes, { verboseResults: true })
        return matchedBy(writes, updateResults)
      })
    }
    // Without results of their own, only inserts can go together: those of one collection.
    const byCollection = new Map<string, Waiting[]>()
    const others: Waiting[] = []
    for (const waiting of group) {
      const [first, ...rest] = new Set(waiting.part.writes.map(({ name, namespace }) => name === 'insertOne' ? namespace : undefined))
      if (first === undefined || rest.length > 0) others.push(waiting)
      else byCollection.set(first, [...byCollection.get(first) ?? [], waiting])
    }
    await Promise.all([this.#alone(others), ...[...byCollection].map(async ([namespace, inserts]) => {
      const collection = this.#db.collection(namespace.slice(namespace.indexOf('.') + 1))
      await this.#together(inserts, async (writes) => {
        await collection.insertMany(writes.map((write) => (write as { document: Document }).document))
        return matchedBy(writes)
      })
    })])
  }

  /** Does the writes of several callers by one command. */
  async #together (group: Waiting[], command: (writes: Write[]) => Promise<number[]>): Promise<void> {
    let matched: number[]
    try {
      matched = await command(group.flatMap(({ part }) => part.writes))
    } catch (error) {
      return await this.#brokenOff(group, error)
    }
    this.#settle(group, matched)
  }

  /** Those before the one whose write was refused are done, those behind it have still to go. */
  async #brokenOff (group: Waiting[], error: unknown): Promise<void> {
    const refusal = refusalIn(error)
    if (!refusal) {
      const cause = error instanceof MongoClientBulkWriteError ? error.cause ?? error : error
      for (const { reject } of group) reject(cause)
      return
    }
    const updates = error instanceof MongoClientBulkWriteError ? error.partialResult?.updateResults : undefined
    let begin = 0
    const at = group.findIndex(({ part }) => {
      begin += part.writes.length
      return refusal.index < begin
    })
    const before = group.slice(0, at)
    this.#settle(before, matchedBy(before.flatMap(({ part }) => part.writes), updates))
    group[at]!.reject(refusal.error)
    await this.#alone(group.slice(at + 1))
  }

  #settle (group: Waiting[], matched: readonly number[]): void {
    let begin = 0
    for (const { part, resolve, reject } of group) {
      const end = begin + part.writes.length
      Promise.resolve(part.together(matched.slice(begin, end))).then(resolve, reject)
      begin = end
    }
  }

  /** Each by a command of its own. */
  async #alone (group: Waiting[]): Promise<void> {
    await Promise.all(group.map(async ({ part, resolve, reject }) => await part.alone().then(resolve, reject)))
  }
}
