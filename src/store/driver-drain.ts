import { createRequire } from 'node:module'
import { type Socket } from 'node:net'

interface Connection {
  readonly socket: Socket
  readonly closed: boolean
  cleanup: (this: Connection, error: Error) => void
}

const require = createRequire(import.meta.url)
const { Connection: { prototype } } = require('mongodb/lib/cmap/connection.js') as { Connection: { prototype: Connection } }
const { cleanup } = prototype

/**
 * The driver (7.8) waits for ever where it writes to a socket that is destroyed and has not said so yet: that never drains. A command
 * hangs, and if it is the look after the server, the client never finds out that it is back. So whoever waits for a drain is told of the end.
 */
prototype.cleanup = function (error) {
  // It is called again by what is emitted here.
  const wasOpen = !this.closed
  cleanup.call(this, error)
  if (wasOpen && this.socket.listenerCount('drain') > 0) this.socket.emit('error', error)
}
