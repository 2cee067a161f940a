import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'

/** Holds a data directory for this process. */
export interface DirectoryLock {
  release: () => void
}

/**
 * Locks a data directory, making it when absent (0700). The kernel releases the lock when the process dies, however it
 * dies: SQLite takes real file locks, which Node itself cannot. Throws when somebody else has it.
 */
export function lockDirectory (directory: string): DirectoryLock {
  mkdirSync(directory, { recursive: true, mode: 0o700 })
  const database = new DatabaseSync(join(directory, 'lock'))
  try {
    database.exec('PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE')
  } catch (error) {
    database.close()
    const isTaken = error instanceof Error && error.message.includes('locked')
    throw isTaken ? new Error(`the data directory ${directory} is in use by another process`) : error
  }
  return { release: () => database.close() }
}
