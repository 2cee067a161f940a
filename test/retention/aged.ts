import { ObjectId, type Db } from 'mongodb'

export const DAY_MS = 86_400_000

/** Makes a session, with messages up to a `seq`, as old as if all of it had happened so many days ago. */
export async function age (db: Db, session: string, days: number, throughSeq = Infinity): Promise<void> {
  const _id = new ObjectId(session)
  const then = new Date(Date.now() - days * DAY_MS)
  await db.collection('messages').updateMany({ sessionId: _id, seq: { $lte: throughSeq } }, { $set: { timestamp: then } })
  if (throughSeq === Infinity) await db.collection('sessions').updateOne({ _id }, { $set: { startedAt: then, lastActivity: then } })
}
