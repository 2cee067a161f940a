import { createHash } from 'node:crypto'
import { createReadStream, createWriteStream } from 'node:fs'
import { once } from 'node:events'
import { join } from 'node:path'
import { PassThrough, pipeline as connect, Transform } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { createZstdCompress, createZstdDecompress } from 'node:zlib'
import { BackupError, type ManifestEntry } from './manifest.ts'

const BATCH_BYTES = 1024 * 1024
const BATCH_DOCUMENTS = 1000
// The limit of MongoDB, with room for what a server adds.
const MAX_DOCUMENT_BYTES = 16 * 1024 * 1024 + 16 * 1024
const MIN_DOCUMENT_BYTES = 5

/** A file of a backup while it is written. It reaches the disk with its end. */
export class CollectionWriter {
  readonly #name: string
  readonly #input = new PassThrough({ highWaterMark: BATCH_BYTES })
  readonly #hash = createHash('sha256')
  readonly #done: Promise<void>
  #documents = 0
  #bytes = 0
  #fileBytes = 0

  constructor (folder: string, name: string) {
    this.#name = name
    const watched = new Transform({
      transform: (chunk: Buffer, _, done) => {
        this.#hash.update(chunk)
        this.#fileBytes += chunk.length
        done(null, chunk)
      }
    })
    const file = createWriteStream(join(folder, this.#file), { flags: 'wx', mode: 0o600, flush: true })
    this.#done = pipeline(this.#input, createZstdCompress(), watched, file)
    // Whoever writes hears of it.
    this.#done.catch(() => {})
  }

  get #file (): string {
    return `${encodeURIComponent(this.#name)}.bson.zst`
  }

  async add (documents: readonly Uint8Array[]): Promise<void> {
    const chunk = Buffer.concat(documents)
    this.#documents += documents.length
    this.#bytes += chunk.length
    if (!this.#input.write(chunk)) await Promise.race([once(this.#input, 'drain'), this.#done])
  }

  async end (): Promise<ManifestEntry> {
    this.#input.end()
    await this.#done
    return {
      name: this.#name,
      file: this.#file,
      documents: this.#documents,
      bytes: this.#bytes,
      fileBytes: this.#fileBytes,
      sha256: this.#hash.digest('hex')
    }
  }

  /** Writes no more. */
  async abandon (): Promise<void> {
    this.#input.destroy()
    await this.#done.catch(() => {})
  }
}

/** Throws `BackupError` unless a file is, byte for byte, what was written. */
export async function checkFile (folder: string, { file, fileBytes, sha256 }: ManifestEntry): Promise<void> {
  const hash = createHash('sha256')
  let bytes = 0
  try {
    for await (const chunk of createReadStream(join(folder, file)) as AsyncIterable<Buffer>) {
      hash.update(chunk)
      bytes += chunk.length
    }
  } catch (error) {
    throw new BackupError(`${file} cannot be read (${(error as Error).message})`)
  }
  if (bytes !== fileBytes) throw new BackupError(`${file} has ${bytes} bytes and had ${fileBytes}`)
  if (hash.digest('hex') !== sha256) throw new BackupError(`${file} is not as it was written: its checksum is another`)
}

/** The documents of a file, a few at a time. Throws `BackupError` where they are not those that were written. */
export async function * readFile (folder: string, { file, documents, bytes }: ManifestEntry): AsyncIterable<Uint8Array[]> {
  let [rest, batch]: [Buffer, Uint8Array[]] = [Buffer.alloc(0), []]
  let [batchBytes, count, total] = [0, 0, 0]
  // An error is one of the last stream as well.
  const input = connect(createReadStream(join(folder, file)), createZstdDecompress({ chunkSize: BATCH_BYTES }), () => {})
  for await (const chunk of input as AsyncIterable<Buffer>) {
    rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk])
    let start = 0
    while (rest.length - start >= 4) {
      const length = rest.readInt32LE(start)
      if (length < MIN_DOCUMENT_BYTES || length > MAX_DOCUMENT_BYTES) throw new BackupError(`${file} has something that is no document`)
      if (rest.length - start < length) break
      batch.push(rest.subarray(start, start + length))
      batchBytes += length
      start += length
      count++
      total += length
      if (batchBytes < BATCH_BYTES && batch.length < BATCH_DOCUMENTS) continue
      yield batch
      ;[batch, batchBytes] = [[], 0]
    }
    rest = rest.subarray(start)
  }
  if (batch.length > 0) yield batch
  if (rest.length > 0 || count !== documents || total !== bytes) {
    throw new BackupError(`${file} has ${count} documents of ${total} bytes, and had ${documents} of ${bytes}`)
  }
}
