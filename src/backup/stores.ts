import { rm } from 'node:fs/promises'
import { copyStore, hasStore, replaceStore } from '../embedded-mongo/storage/copies.ts'
import { BackupReader } from '../store/backup/backup-reader.ts'
import { RestoreWriter } from '../store/backup/restore-writer.ts'
import { type Connection } from '../store/connection.ts'
import { openStore } from '../store/store.ts'
import { connected, embedded, type Place } from '../store-place.ts'
import { type Source } from './backup.ts'
import { BackupError } from './manifest.ts'
import { type Insert, type Target } from './restore.ts'

/** The server at `MONGODB_URI`, as it is while it is read; or the embedded store, copied at one moment and read then. */
export function sourceOf (place: Place): Source {
  return async (folder, work) => {
    const read = async ({ db }: Connection) => await work(new BackupReader(db))
    if (place.MONGODB_URI !== undefined) return await connected(place.MONGODB_URI, place, read)
    await copyStore(place.DATA_DIR, folder)
    await embedded(folder, place, read)
    await rm(folder, { recursive: true })
  }
}

/** The database at `MONGODB_URI`, or a new embedded store that takes the place of the one in `DATA_DIR`. */
export function targetOf (place: Place, { replace }: { readonly replace: boolean }): Target {
  const fill = async ({ db }: Connection, work: (insert: Insert) => Promise<void>) => {
    const writer = new RestoreWriter(db)
    if (!replace && await writer.isInUse()) throw new BackupError(`the database ${place.MONGODB_DATABASE} is not empty; --replace removes what is in it`)
    await writer.begin()
    await work(async (collection, documents) => await writer.insert(collection, documents))
    await writer.finish()
    // Makes the indexes, which shows that the data fit them, and spares the next start the work.
    await openStore(db)
  }
  return async (work) => {
    if (place.MONGODB_URI !== undefined) return await connected(place.MONGODB_URI, place, async (connection) => await fill(connection, work))
    if (!replace && hasStore(place.DATA_DIR)) throw new BackupError(`there are data in ${place.DATA_DIR}; --replace puts those of the backup in their place`)
    const replacement = replaceStore(place.DATA_DIR)
    try {
      await embedded(replacement.directory, place, async (connection) => await fill(connection, work))
      replacement.finish()
    } finally {
      replacement.release()
    }
  }
}
