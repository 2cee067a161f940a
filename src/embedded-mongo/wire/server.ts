import { chmodSync } from 'node:fs'
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net'
import { Aggregation } from '../aggregation/aggregate.ts'
import { Catalog } from '../storage/catalog.ts'
import { Connection } from './connection.ts'
import { Cursors } from '../query/cursors.ts'
import { IndexBuilds } from '../storage/index-builds.ts'
import { Maintenance } from '../storage/maintenance.ts'
import { Queries } from '../query/queries.ts'
import { Records } from '../storage/records.ts'
import { Storage } from '../storage/storage.ts'
import { Writes } from '../update/writes.ts'

/** How often expired documents and cursors are removed, in milliseconds. */
export const SWEEP_INTERVAL_MS = 60_000
const MAX_CONNECTIONS = 2000

/** The store's parts, as commands use them. */
export interface Store {
  storage: Storage
  catalog: Catalog
  queries: Queries
  aggregation: Aggregation
  writes: Writes
  cursors: Cursors
  indexes: IndexBuilds
  maintenance: Maintenance
  startedAt: number
  connections: Set<Connection>
  opcounters: Record<string, number>
}

/** Opens the data in a directory. */
export function openStore (directory: string): Store {
  const storage = new Storage(directory)
  const catalog = new Catalog(storage)
  storage.onAbort = () => catalog.load()
  const records = new Records(storage, catalog)
  const queries = new Queries(storage, catalog)
  const writes = new Writes(storage, catalog, records, queries)
  const cursors = new Cursors()
  return {
    storage,
    catalog,
    queries,
    writes,
    cursors,
    aggregation: new Aggregation(queries),
    indexes: new IndexBuilds(storage, catalog, records),
    maintenance: new Maintenance(storage, catalog, writes, cursors),
    startedAt: Date.now(),
    connections: new Set(),
    opcounters: { insert: 0, query: 0, update: 0, delete: 0, getmore: 0, command: 0 }
  }
}

/** Serves a store on sockets until closed. */
export class StoreServer {
  private readonly store: Store
  private readonly servers: Server[] = []
  private sweeper: NodeJS.Timeout | undefined

  constructor (store: Store) {
    this.store = store
  }

  /** Removes what a crash left unfinished, then starts the background sweep. */
  async start (sweepIntervalMs = SWEEP_INTERVAL_MS): Promise<void> {
    await this.store.indexes.removeUnfinished()
    void this.store.maintenance.purge()
    this.sweeper = setInterval(() => { void this.store.maintenance.sweep() }, sweepIntervalMs)
    this.sweeper.unref()
  }

  /** Listens on a Unix socket that only this user can open. */
  async listenOnSocket (path: string): Promise<void> {
    await this.listen({ path })
    chmodSync(path, 0o600)
  }

  /** Listens on 127.0.0.1; 0 takes a free port. Answers the port. */
  async listenOnPort (port: number): Promise<number> {
    const server = await this.listen({ port, host: '127.0.0.1' })
    return (server.address() as AddressInfo).port
  }

  private listen (where: { path: string } | { port: number, host: string }): Promise<Server> {
    const { promise, resolve, reject } = Promise.withResolvers<Server>()
    const server = createServer({ noDelay: true }, (socket) => this.accept(socket))
    server.maxConnections = MAX_CONNECTIONS
    server.once('error', reject)
    server.listen(where, () => resolve(server))
    this.servers.push(server)
    return promise
  }

  private accept (socket: Socket): void {
    const connection = new Connection(socket, this.store)
    this.store.connections.add(connection)
    socket.once('close', () => {
      this.store.connections.delete(connection)
      this.store.cursors.killOwnedBy(connection)
    })
  }

  /** Stops listening, ends connections after what they were doing, closes the files. */
  async close (): Promise<void> {
    clearInterval(this.sweeper)
    const closed = this.servers.map((server) => new Promise((resolve) => server.close(resolve)))
    await Promise.all([...this.store.connections].map((connection) => connection.close()))
    await Promise.all(closed)
    await this.store.maintenance.idle()
    await this.store.storage.close()
  }
}
