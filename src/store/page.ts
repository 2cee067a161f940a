import { ObjectId, type Collection, type Document, type Filter } from 'mongodb'
import { ApiError } from '../errors.ts'

/** What a list asks for. `cursor` is the `nextCursor` of the page before. */
export interface PageRequest {
  readonly limit: number
  readonly cursor?: string
}

export interface PageOf<T> {
  readonly data: T[]
  readonly nextCursor: string | null
}

// Thirteen digits of milliseconds reach the year 2286; a server may not know dates much beyond.
const LAST = new Date(9_999_999_999_999)

function encode (time: Date, id: ObjectId): string {
  return Buffer.from(`${time.getTime()}:${id.toHexString()}`).toString('base64url')
}

/** For a cursor that no page has given. */
export const wrongCursor = () => new ApiError('validation_failed', {
  detail: 'The cursor is not one of this list.',
  members: { errors: [{ path: '/cursor', message: 'must be the nextCursor of an earlier page' }] }
})

function decode (cursor: string): { time: Date, id: ObjectId } {
  const match = /^(\d{1,13}):([0-9a-f]{24})$/.exec(Buffer.from(cursor, 'base64url').toString('latin1'))
  if (!match?.[1] || !match[2]) throw wrongCursor()
  return { time: new Date(Number(match[1])), id: ObjectId.createFromHexString(match[2]) }
}

/**
 * One page of `collection`, the latest `timeField` first, served by the index that ends in `timeField, _id`. What has no
 * such time is on no page.
 */
export async function findPage<T extends Document & { _id: ObjectId }> (
  collection: Collection<T>, filter: Filter<T>, timeField: keyof T & string, { limit, cursor }: PageRequest
): Promise<PageOf<T>> {
  const after = cursor === undefined ? undefined : decode(cursor)
  const from = {
    [timeField]: { ...filter[timeField], $lte: after?.time ?? LAST },
    ...(after && { $or: [{ [timeField]: { $lt: after.time } }, { _id: { $lt: after.id } }] })
  }
  const documents = await collection
    .find({ ...filter, ...from } as Filter<T>)
    .sort({ [timeField]: -1, _id: -1 })
    .limit(limit + 1)
    .toArray() as T[]
  const data = documents.slice(0, limit)
  const last = data.at(-1)
  return {
    data,
    nextCursor: documents.length > limit && last ? encode(last[timeField], last._id) : null
  }
}
