import { MongoClient, type Db, type MongoClientOptions } from 'mongodb'
import { socketPlace } from '../../src/embedded-mongo/storage/socket-path.ts'
import { openStore, StoreServer, type Store } from '../../src/embedded-mongo/wire/server.ts'

/** What a test needs of tap. */
interface TestContext {
  testdir: () => string
  teardown: (handler: () => Promise<void>) => void
}

/** A store in this process and a driver connected to it over its Unix socket; both end with the test. */
export interface TestStore {
  store: Store
  server: StoreServer
  socketPath: string
  client: MongoClient
  db: Db
}

/** Opens a store in a fresh directory. */
export async function openTestStore (t: TestContext, options: MongoClientOptions = {}): Promise<TestStore> {
  const directory = t.testdir()
  const store = openStore(directory)
  const server = new StoreServer(store)
  await server.start()
  const { path: socketPath, remove } = socketPlace(directory)
  await server.listenOnSocket(socketPath)
  const client = new MongoClient(`mongodb://${encodeURIComponent(socketPath)}/?directConnection=true`, options)
  t.teardown(async () => {
    await client.close()
    await server.close()
    remove()
  })
  return { store, server, socketPath, client, db: client.db('test') }
}

/** The code of the error a promise is rejected with; undefined when it is not. */
export async function codeOf (promise: Promise<unknown>): Promise<unknown> {
  return promise.then(() => undefined, (error: { code?: unknown }) => error.code)
}
