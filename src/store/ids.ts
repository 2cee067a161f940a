import { ObjectId } from 'mongodb'

const PATTERN = /^[0-9a-f]{24}$/

/** A fresh identifier: 24 hexadecimal characters that sort by time of making, roughly. */
export function newId (): string {
  return new ObjectId().toHexString()
}

/** The stored form of an identifier; undefined where the text is none, so that it finds nothing. */
export function parseId (id: string): ObjectId | undefined {
  return PATTERN.test(id) ? ObjectId.createFromHexString(id) : undefined
}
