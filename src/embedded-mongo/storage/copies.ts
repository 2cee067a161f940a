import { existsSync, mkdirSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { open } from 'lmdb'
import { lockDirectory } from './lock.ts'
import { DATA_FILE, environmentOptions } from './storage.ts'
import { syncFolder } from './sync-folder.ts'

/** Whether a data directory has data. */
export function hasStore (directory: string): boolean {
  return existsSync(join(directory, DATA_FILE))
}

/**
 * Copies the data in a directory to another one, which is made, as they are at one moment. Another process may have them
 * open and write meanwhile: the engine keeps what the copy reads, and locks nobody out.
 */
export async function copyStore (directory: string, to: string): Promise<void> {
  if (!hasStore(directory)) throw new Error(`there is no embedded store in ${directory}`)
  const db = open({ ...environmentOptions(directory), readOnly: true })
  try {
    mkdirSync(to, { mode: 0o700 })
    await db.backup(join(to, DATA_FILE), true)
  } finally {
    await db.close()
  }
}

const placeOf = (directory: string) => join(directory, 'replacement')

/** Data that are to take the place of those in a data directory. */
export interface Replacement {
  /** Where the new data are made, by a store of its own. It is closed before `finish`. */
  readonly directory: string
  /** Puts the new data in the place of the old ones, in one step. */
  finish: () => void
  /** Lets others use the data directory; what is not finished is removed. */
  release: () => void
}

/** Throws where data that were to take the place of others have not: whoever has begun that was killed. */
export function refuseUnfinishedReplacement (directory: string): void {
  const place = placeOf(directory)
  if (!hasStore(place)) return
  throw new Error(`a restore into ${directory} has not ended; restore again, or remove ${place} to go on with what was there before`)
}

/**
 * Holds a data directory until its data are replaced. They stay as they are until then: who is killed before leaves
 * nothing but a folder that the next one removes. Throws when a store runs in the directory.
 */
export function replaceStore (directory: string): Replacement {
  const lock = lockDirectory(directory)
  const place = placeOf(directory)
  rmSync(place, { recursive: true, force: true })
  mkdirSync(place, { mode: 0o700 })
  return {
    directory: place,
    finish () {
      // The engine's notes of its readers belong to the file that goes.
      rmSync(join(directory, `${DATA_FILE}-lock`), { force: true })
      renameSync(join(place, DATA_FILE), join(directory, DATA_FILE))
      syncFolder(directory)
    },
    release () {
      rmSync(place, { recursive: true, force: true })
      lock.release()
    }
  }
}
