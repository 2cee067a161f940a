import { BSON, type Document } from 'mongodb'

/** A document as it is stored. */
export type RawDocument = Uint8Array

/** What is in it, with each value as the type that it is stored as. */
export function exactly (raw: RawDocument): Document {
  return BSON.deserialize(raw, { promoteValues: false, bsonRegExp: true })
}

/** What is in it, to look at. */
export function decoded<T extends Document> (raw: RawDocument): T {
  return BSON.deserialize(raw) as T
}

export function encoded (document: Document): RawDocument {
  return BSON.serialize(document)
}

/** The document with other values of some fields, and without those that are undefined. */
export function changed (raw: RawDocument, fields: Document): RawDocument {
  return BSON.serialize({ ...exactly(raw), ...fields }, { ignoreUndefined: true })
}
