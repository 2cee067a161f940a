import { existsSync } from 'node:fs'
import { mkdir, open, rename, rm } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { syncFolder } from '../embedded-mongo/storage/sync-folder.ts'
import { type BackupReader } from '../store/backup/backup-reader.ts'
import { version } from '../version.ts'
import { CollectionWriter } from './collection-file.ts'
import { BackupError, FORMAT, type Manifest, MANIFEST_FILE, MANIFEST_SUM_FILE, written } from './manifest.ts'

/** Reads what is to be kept, with a folder for what it needs meanwhile. */
export type Source = (folder: string, work: (reader: BackupReader) => Promise<void>) => Promise<void>

/**
 * Makes a backup, a folder that is not there before. It bears its name from the moment on when all of it is on the disk;
 * until then, and where that never comes, it is called `.partial`.
 */
export async function makeBackup (source: Source, to: string): Promise<Manifest> {
  const target = resolve(to)
  if (existsSync(target)) throw new BackupError(`${target} is there already`)
  const partial = `${target}.partial`
  await rm(partial, { recursive: true, force: true })
  await mkdir(dirname(target), { recursive: true })
  await mkdir(partial, { mode: 0o700 })
  try {
    // All that was acknowledged before is in it, also where the source is copied first.
    const startedAt = new Date().toISOString()
    let manifest: Manifest | undefined
    await source(join(partial, 'source'), async (reader) => { manifest = await writeAll(reader, partial, startedAt) })
    syncFolder(partial)
    await rename(partial, target)
    syncFolder(dirname(target))
    return manifest!
  } catch (error) {
    await rm(partial, { recursive: true, force: true })
    throw error
  }
}

async function writeAll (reader: BackupReader, folder: string, startedAt: string): Promise<Manifest> {
  const migrations = await reader.migrations()
  const writers = new Map<string, CollectionWriter>()
  try {
    for await (const { collection, documents } of reader.read()) {
      const writer = writers.get(collection) ?? new CollectionWriter(folder, collection)
      writers.set(collection, writer)
      await writer.add(documents)
    }
    const collections = []
    for (const writer of writers.values()) collections.push(await writer.end())
    if (collections.length === 0) throw new BackupError('there is nothing in the database')
    const manifest = { format: FORMAT, parley: version, startedAt, endedAt: new Date().toISOString(), migrations, collections }
    const { text, sum } = written(manifest)
    await writeFile(join(folder, MANIFEST_FILE), text)
    await writeFile(join(folder, MANIFEST_SUM_FILE), sum)
    return manifest
  } finally {
    for (const writer of writers.values()) await writer.abandon()
  }
}

async function writeFile (path: string, text: string): Promise<void> {
  await using file = await open(path, 'wx', 0o600)
  await file.writeFile(text)
  await file.sync()
}
