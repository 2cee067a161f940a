import { parentPort, workerData } from 'node:worker_threads'
import { lockDirectory } from './storage/lock.ts'
import { refuseUnfinishedReplacement } from './storage/copies.ts'
import { openStore, StoreServer } from './wire/server.ts'
import { socketPlace } from './storage/socket-path.ts'
import { type WorkerMessage, type WorkerOptions } from './worker-messages.ts'

const { dataDir, port, sweepIntervalMs } = workerData as WorkerOptions

function send (message: WorkerMessage): void {
  parentPort?.postMessage(message)
}

async function run (): Promise<void> {
  const lock = lockDirectory(dataDir)
  refuseUnfinishedReplacement(dataDir)
  const place = socketPlace(dataDir)
  const server = new StoreServer(openStore(dataDir))
  await server.start(sweepIntervalMs)
  await server.listenOnSocket(place.path)
  const listening = port === undefined ? undefined : await server.listenOnPort(port)
  parentPort?.once('message', () => {
    void server.close().then(() => {
      place.remove()
      lock.release()
      send({ kind: 'closed' })
    })
  })
  send({ kind: 'ready', socketPath: place.path, port: listening })
}

try {
  await run()
} catch (error) {
  send({ kind: 'refused', message: error instanceof Error ? error.message : String(error) })
}
