import { type Collection, type Document, MongoServerError, type OptionalUnlessRequiredId } from 'mongodb'

/** Inserts a document. False: there is one with its id already. */
export async function insertNew<T extends Document> (collection: Collection<T>, document: OptionalUnlessRequiredId<T>): Promise<boolean> {
  try {
    await collection.insertOne(document)
    return true
  } catch (error) {
    if (error instanceof MongoServerError && error.code === 11000) return false
    throw error
  }
}
