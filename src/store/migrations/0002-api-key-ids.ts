import { type Document, ObjectId } from 'mongodb'
import { type Step } from './step.ts'

const outdated = { id: { $exists: false } }

/** Earlier, API keys were known by their public part alone. */
export const apiKeyIds: Step = {
  id: 'api-key-ids',
  collection: 'apiKeys',
  outdated,
  async run (db) {
    const apiKeys = db.collection<Document & { _id: string }>('apiKeys')
    for await (const { _id } of apiKeys.find(outdated, { projection: { _id: 1 } })) {
      await apiKeys.updateOne({ _id, ...outdated }, { $set: { id: new ObjectId() } })
    }
  }
}
