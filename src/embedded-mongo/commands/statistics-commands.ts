import { recordPrefix, type Collection } from '../storage/catalog.ts'
import { type Store } from '../wire/server.ts'
import { countValue, type Document } from '../values/values.ts'
import { type Command, type Request } from '../wire/request.ts'

function countOf ({ storage }: Store, { id }: Collection): number {
  return storage.count(recordPrefix(id), recordPrefix(id + 1))
}

function dbStats ({ store, database }: Request): Document {
  const collections = store.catalog.inDatabase(database)
  return {
    db: database,
    collections: collections.length,
    views: 0,
    objects: countValue(collections.reduce((sum, collection) => sum + countOf(store, collection), 0)),
    indexes: collections.reduce((sum, { indexes }) => sum + indexes.length, 0),
    storageSize: countValue(store.storage.fileBytes),
    totalSize: countValue(store.storage.fileBytes)
  }
}

/** One file holds everything: sizes are the file's, counts the collection's. */
function collStats ({ store, namespace }: Request): Document {
  const collection = store.catalog.find(namespace)
  return {
    ns: namespace,
    count: countValue(collection === undefined ? 0 : countOf(store, collection)),
    nindexes: collection?.indexes.length ?? 0,
    storageSize: countValue(store.storage.fileBytes),
    capped: false
  }
}

/** The commands that count. */
export const statisticsCommands: Readonly<Record<string, Command>> = {
  dbStats,
  dbstats: dbStats,
  collStats,
  collstats: collStats
}
