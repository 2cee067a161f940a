import { type Db, MongoClient } from 'mongodb'

/** A connection of a command, which is not the server. */
export interface Connection {
  readonly db: Db
  close (): Promise<void>
}

/** Connects to a database, or rejects within seconds. All is read where it is written. */
export async function connect (uri: string, database: string): Promise<Connection> {
  const client = new MongoClient(uri, { appName: 'parley', serverSelectionTimeoutMS: 5000, connectTimeoutMS: 5000, readPreference: 'primary' })
  await client.connect()
  return { db: client.db(database), close: async () => await client.close() }
}
