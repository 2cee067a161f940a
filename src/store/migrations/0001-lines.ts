import { type AnyBulkWriteOperation, type Db, type Document, type ObjectId } from 'mongodb'
import { type Step } from './step.ts'

const BATCH = 500

const outdated = { rev: { $exists: false } }

/** Earlier, messages did not know the one before them and when they ended, sessions had no order of events, and there was no search. */
export const lines: Step = {
  id: 'lines',
  collection: 'sessions',
  outdated,
  async run (db) {
    const sessions = db.collection<Document & { _id: ObjectId }>('sessions')
    for await (const { _id } of sessions.find(outdated, { projection: { _id: 1 } })) {
      await sessions.updateOne({ _id, ...outdated }, { $set: await addLine(db, _id) })
    }
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
