import { type Config } from './config.ts'
import { startEmbeddedStore } from './embedded-mongo/index.ts'
import { connect, type Connection } from './store/connection.ts'

/** Where the data are. */
export type Place = Pick<Config, 'MONGODB_URI' | 'MONGODB_DATABASE' | 'DATA_DIR'>

/** Does something with the server at a URI. */
export async function connected (uri: string, { MONGODB_DATABASE }: Place, work: (connection: Connection) => Promise<void>): Promise<void> {
  const connection = await connect(uri, MONGODB_DATABASE)
  try {
    await work(connection)
  } finally {
    await connection.close()
  }
}

/** Does something with the embedded store in a folder, which no other process may use meanwhile. */
export async function embedded (dataDir: string, place: Place, work: (connection: Connection) => Promise<void>): Promise<void> {
  const store = await startEmbeddedStore({ dataDir })
  try {
    await connected(store.uri, place, work)
  } finally {
    await store.close()
  }
}
