import { closeSync, fsyncSync, openSync } from 'node:fs'

/** Has the names in a folder survive a power cut. */
export function syncFolder (folder: string): void {
  const file = openSync(folder, 'r')
  try {
    fsyncSync(file)
  } finally {
    closeSync(file)
  }
}
