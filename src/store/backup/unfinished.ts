import { type Collection, type Db } from 'mongodb'

interface UnfinishedDocument {
  _id: 'running'
  startedAt: Date
}

/** The mark of a database that is being restored, from before its first document to after its last. */
export const unfinishedRestores = (db: Db): Collection<UnfinishedDocument> => db.collection('restores')

/** Throws where the data are half of a backup: nothing may be made of them. */
export async function refuseUnfinishedRestore (db: Db): Promise<void> {
  const found = await unfinishedRestores(db).findOne({ _id: 'running' })
  if (!found) return
  const since = found.startedAt.toISOString()
  throw new Error(`the database ${db.databaseName} has half of a backup, whose restore began at ${since} and has not ended; restore it again`)
}
