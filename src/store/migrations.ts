import { type AnyBulkWriteOperation, type Collection, type Db, type Document, ObjectId } from 'mongodb'
import { insertNew } from './insert-new.ts'

const BATCH = 500

/**
 * What has to be done once to data of earlier versions, in order. Each may be cut off and begun again, and done by several
 * processes at once. So they need no lock, and no library: the one there is for this looks for its lock before it takes it, and
 * fails where another process has it, instead of waiting.
 */
const migrations: ReadonlyArray<readonly [name: string, migrate: (db: Db) => Promise<void>]> = [
  ['lines', addLines],
  ['api-key-ids', addApiKeyIds]
]

interface MigrationDocument {
  _id: string
  doneAt: Date
}

/** Those of some migrations that this version does not know: they were made by a newer one. */
export function unknownMigrations (names: readonly string[]): string[] {
  return names.filter((name) => !migrations.some(([known]) => known === name))
}

/** The names of what was done to this data. Throws where a newer version has been at it, so nothing else may come first. */
export async function checkMigrations (db: Db): Promise<ReadonlySet<string>> {
  const names = (await db.collection<MigrationDocument>('migrations').find().toArray()).map(({ _id }) => _id)
  const unknown = unknownMigrations(names)
  if (unknown.length === 0) return new Set(names)
  throw new Error(`the data was made by a newer version of Parley (unknown: ${unknown.join(', ')}). Start that version, or restore a backup.`)
}

/** Brings the data up to what this version expects, except what is done. */
export async function migrate (db: Db, done: ReadonlySet<string>): Promise<void> {
  const records: Collection<MigrationDocument> = db.collection('migrations')
  for (const [name, work] of migrations) {
    if (done.has(name)) continue
    await work(db)
    await insertNew(records, { _id: name, doneAt: new Date() })
  }
}

/** Earlier, messages did not know the one before them and when they ended, sessions had no order of events, and there was no search. */
async function addLines (db: Db): Promise<void> {
  const sessions = db.collection<Document & { _id: ObjectId }>('sessions')
  for await (const { _id } of sessions.find({ rev: { $exists: false } }, { projection: { _id: 1 } })) {
    await sessions.updateOne({ _id, rev: { $exists: false } }, { $set: await addLine(db, _id) })
  }
}

/** Links the messages of a session, and answers what the session then is. */
async function addLine (db: Db, sessionId: ObjectId): Promise<Document> {
  const messages = db.collection<Document & { _id: ObjectId }>('messages')
  let writes: Array<AnyBulkWriteOperation<Document & { _id: ObjectId }>> = []
  let [previous, rev]: [Document & { _id: ObjectId } | undefined, number] = [undefined, 0]
  const fields = { replyTo: 1, status: 1, timestamp: 1 }
  for await (const message of messages.find({ sessionId }).sort({ seq: 1 }).project<Document & { _id: ObjectId }>(fields)) {
    // A reply begins together with what it answers, except where that was answered before.
    if (!previous || !(message['replyTo'] as ObjectId | undefined)?.equals(previous._id)) rev++
    const hasEnded = message['replyTo'] !== undefined && message['status'] !== 'streaming'
    const $set = { parentId: previous?._id ?? null, rev, ...(hasEnded && { endedAt: message['timestamp'] as Date }) }
    writes.push({ updateOne: { filter: { _id: message._id, rev: { $exists: false } }, update: { $set } } })
    previous = message
    if (writes.length < BATCH) continue
    await messages.bulkWrite(writes)
    writes = []
  }
  if (writes.length > 0) await messages.bulkWrite(writes)
  return { rev, tipId: previous?._id ?? null, ...(previous && { unindexed: true }) }
}

/** Earlier, API keys were known by their public part alone. */
async function addApiKeyIds (db: Db): Promise<void> {
  const apiKeys = db.collection<Document & { _id: string }>('apiKeys')
  for await (const { _id } of apiKeys.find({ id: { $exists: false } }, { projection: { _id: 1 } })) {
    await apiKeys.updateOne({ _id, id: { $exists: false } }, { $set: { id: new ObjectId() } })
  }
}
