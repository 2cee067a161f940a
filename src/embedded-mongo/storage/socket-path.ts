import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'

// sockaddr_un holds 108 bytes on Linux and 104 on macOS, with the closing zero.
const MAX_SOCKET_PATH_BYTES = 103

/** Where the store's socket is, and how to remove it. */
export interface SocketPlace {
  path: string
  remove: () => void
}

/** A socket path in the data directory or, where that is too long for the system, in a private temporary folder. */
export function socketPlace (directory: string): SocketPlace {
  const path = join(directory, 'mongodb.sock')
  if (Buffer.byteLength(path) <= MAX_SOCKET_PATH_BYTES) {
    // Left by a process that was killed: the lock is ours, so nobody listens on it.
    rmSync(path, { force: true })
    return { path, remove: () => rmSync(path, { force: true }) }
  }
  const fallback = join(mkdtempSync(join(tmpdir(), 'mongodb-')), 'mongodb.sock')
  return { path: fallback, remove: () => rmSync(dirname(fallback), { recursive: true, force: true }) }
}
