import { type Collection, type Document, type Filter } from 'mongodb'

/** A stretch of time, both ends included, and how much of it is read at once. */
export interface Stretch {
  readonly from: Date
  readonly to: Date
  readonly limit: number
}

/** What was found from the beginning of a stretch up to `through`: all of it, in the order of time. */
export interface Found<T> {
  readonly found: T[]
  readonly through: Date
}

/**
 * The documents of `collection` in a stretch of `timeField`, served by an index that ends in it. About `limit` of them: a
 * moment is never cut in two, so that whoever goes on after `through` misses nothing. `fields`: these only, the time among them.
 */
export async function findStretch<T extends Document> (
  collection: Collection<T>, filter: Filter<T>, timeField: keyof T & string, { from, to, limit }: Stretch,
  fields: Document = {}
): Promise<Found<T>> {
  const within = async (range: object, most: number) => await collection
    .find({ ...filter, [timeField]: { $type: 'date', ...range } } as Filter<T>)
    .project(fields)
    .sort({ [timeField]: 1 })
    .limit(most)
    .toArray() as T[]
  const found = await within({ $gte: from, $lte: to }, limit)
  if (found.length < limit) return { found, through: to }
  const through = found.at(-1)![timeField] as Date
  const moment = await within({ $eq: through }, 0)
  return { found: [...found.filter((document) => (document[timeField] as Date) < through), ...moment], through }
}
