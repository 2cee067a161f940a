import { type Db } from 'mongodb'

/** The commands that end a turn where nobody else writes: one, where the server knows those over several collections. */
export async function endingCommands (db: Db): Promise<string[]> {
  const { maxWireVersion } = await db.command({ hello: 1 })
  return Number(maxWireVersion) >= 25 ? ['bulkWrite'] : ['update', 'findAndModify']
}
