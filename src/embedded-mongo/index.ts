import { resolve } from 'node:path'
import { Worker } from 'node:worker_threads'
import { type WorkerMessage, type WorkerOptions } from './worker-messages.ts'

/** How to start a store. */
export interface EmbeddedStoreOptions {
  /** Directory of the data; made when absent, private to this user. One process at a time may use it. */
  dataDir: string
  /** Also listen on this port of 127.0.0.1, without authentication; 0 takes a free one. */
  port?: number
  /** How often expired documents are removed, in milliseconds; a minute when not given. */
  sweepIntervalMs?: number
  /** Told when the store's thread has died: nothing answers any more. Without it the error is an uncaught exception. */
  onError?: (error: Error) => void
}

/** A running store. */
export interface EmbeddedStore {
  /** For MongoClient, over the Unix socket. */
  uri: string
  socketPath: string
  /** The loopback port, where one was asked for. */
  port: number | undefined
  /** Finishes the running commands, closes the files and resolves when another process may open them. */
  close: () => Promise<void>
}

function rethrow (error: Error): never {
  throw error
}

/**
 * Starts the store in a worker thread, so that a slow query does not stop this one. Rejects when the directory is in
 * use, its format is newer, or a socket cannot be opened.
 */
export async function startEmbeddedStore (
  { dataDir, port, sweepIntervalMs, onError = rethrow }: EmbeddedStoreOptions
): Promise<EmbeddedStore> {
  const workerData: WorkerOptions = { dataDir: resolve(dataDir), port, sweepIntervalMs }
  const worker = new Worker(new URL('./worker.ts', import.meta.url), { workerData })
  // Not events.once, which would reject when the worker fails, with nobody there to catch it.
  const exited = new Promise<void>((resolve) => { worker.once('exit', () => resolve()) })
  const { promise: started, resolve: start, reject: refuse } = Promise.withResolvers<WorkerMessage>()
  let isClosing = false
  let isReady = false
  const fail = (error: Error) => {
    refuse(error)
    if (!isReady || isClosing) return
    isClosing = true
    onError(error)
  }
  // Known at once: who was busy meanwhile hears in one go that the thread is ready and that it has failed.
  worker.once('message', (message: WorkerMessage) => {
    isReady = message.kind === 'ready'
    start(message)
  })
  worker.on('error', (error) => fail(error instanceof Error ? error : new Error(String(error))))
  worker.once('exit', (code) => fail(new Error(`the embedded store's thread ended with code ${code}`)))

  const message = await started
  if (message.kind !== 'ready') {
    isClosing = true
    await worker.terminate()
    throw new Error(message.kind === 'refused' ? message.message : 'the embedded store did not start')
  }
  const close = async () => {
    if (isClosing) {
      await exited
      return
    }
    isClosing = true
    const closed = new Promise<void>((resolve) => { worker.once('message', () => resolve()) })
    worker.postMessage('close')
    await Promise.race([closed, exited])
    await worker.terminate()
  }
  return {
    uri: `mongodb://${encodeURIComponent(message.socketPath)}/?directConnection=true`,
    socketPath: message.socketPath,
    port: message.port,
    close
  }
}
