import { BSON, MongoClient, type Db } from 'mongodb'
import { type Test } from 'tap'
import { makeBackup } from '../../src/backup/backup.ts'
import { restoreBackup } from '../../src/backup/restore.ts'
import { sourceOf, targetOf } from '../../src/backup/stores.ts'
import { startEmbeddedStore } from '../../src/embedded-mongo/index.ts'
import { type Place } from '../../src/store-place.ts'
import { databaseName, storeUri, temporaryFolder } from '../helper.ts'

/** An empty database on the store of this file, and what the commands are told of it. */
export async function serverPlace (t: Test): Promise<{ place: Place, db: Db }> {
  const place = { MONGODB_URI: await storeUri(), MONGODB_DATABASE: databaseName(), DATA_DIR: await temporaryFolder(t) }
  const client = new MongoClient(place.MONGODB_URI)
  const db = client.db(place.MONGODB_DATABASE)
  t.teardown(async () => {
    await db.dropDatabase()
    await client.close()
  })
  return { place, db }
}

/** A folder for an embedded store. */
export async function embeddedPlace (t: Test): Promise<Place> {
  return { MONGODB_DATABASE: 'parley', DATA_DIR: await temporaryFolder(t) }
}

/** Has a store run in a folder for as long as `work` takes. */
export async function whileRunning<T> ({ DATA_DIR, MONGODB_DATABASE }: Place, work: (db: Db) => Promise<T>): Promise<T> {
  const store = await startEmbeddedStore({ dataDir: DATA_DIR })
  const client = new MongoClient(store.uri)
  try {
    return await work(client.db(MONGODB_DATABASE))
  } finally {
    await client.close()
    await store.close()
  }
}

/** All documents of a collection, as they are stored, in the order of their ids. */
export async function stored (db: Db, collection: string): Promise<string[]> {
  const documents = await db.collection(collection).find({}, { raw: true }).sort({ _id: 1 }).toArray()
  return documents.map((raw) => Buffer.from(raw as unknown as Uint8Array).toString('hex'))
}

export const hexOf = (document: object) => Buffer.from(BSON.serialize(document)).toString('hex')

export const backUp = async (place: Place, to: string) => await makeBackup(sourceOf(place), to)

export const restore = async (from: string, place: Place, replace = false) => await restoreBackup(from, targetOf(place, { replace }))
