import { Long } from 'bson'
import { hostname } from 'node:os'
import { isDocument, MAX_DOCUMENT_BYTES, type Document } from '../values/values.ts'
import { MAX_MESSAGE_BYTES } from '../wire/wire.ts'
import { sessionKey, type Command, type Request } from '../wire/request.ts'

/** MongoDB 8.0's: the first with the client-level bulkWrite. */
const WIRE_VERSION = 25
const VERSION = [8, 0, 0, 0]
/** Writes in one command. */
export const MAX_WRITE_BATCH = 100_000

/** A standalone server: no replica set, hence no retryable writes and no transactions. */
function hello ({ connection, name }: Request): Document {
  return {
    helloOk: true,
    ...(name === 'hello' ? { isWritablePrimary: true } : { ismaster: true }),
    maxBsonObjectSize: MAX_DOCUMENT_BYTES,
    maxMessageSizeBytes: MAX_MESSAGE_BYTES,
    maxWriteBatchSize: MAX_WRITE_BATCH,
    localTime: new Date(),
    logicalSessionTimeoutMinutes: 30,
    connectionId: connection.id,
    minWireVersion: 0,
    maxWireVersion: WIRE_VERSION,
    readOnly: false
  }
}

function buildInfo (): Document {
  return {
    version: VERSION.slice(0, 3).join('.'),
    gitVersion: 'parley-embedded-store',
    modules: ['parley-embedded-store'],
    versionArray: VERSION,
    bits: 64,
    debug: false,
    maxBsonObjectSize: MAX_DOCUMENT_BYTES,
    storageEngines: ['lmdb']
  }
}

function endSessions ({ body, store }: Request): Document {
  const sessions = Array.isArray(body.endSessions) ? body.endSessions : []
  for (const session of sessions.filter(isDocument)) store.cursors.killSession(sessionKey(session))
  return {}
}

function serverStatus ({ store }: Request): Document {
  const uptime = Math.floor((Date.now() - store.startedAt) / 1000)
  return {
    host: hostname(),
    version: VERSION.slice(0, 3).join('.'),
    process: 'parley-embedded-store',
    pid: Long.fromNumber(process.pid),
    uptime,
    localTime: new Date(),
    connections: { current: store.connections.size },
    cursors: { open: store.cursors.size },
    opcounters: store.opcounters,
    storageEngine: { name: 'lmdb', supportsCommittedReads: true, persistent: true }
  }
}

const empty: Command = () => ({})

/** The commands a driver needs before and besides working with data. */
export const handshakeCommands: Readonly<Record<string, Command>> = {
  hello,
  isMaster: hello,
  ismaster: hello,
  ping: empty,
  buildInfo,
  buildinfo: buildInfo,
  endSessions,
  serverStatus
}
