import { readFile as readText } from 'node:fs/promises'
import { join } from 'node:path'
import { unknownSteps } from '../store/migrations/steps.ts'
import { checkFile, readFile } from './collection-file.ts'
import { BackupError, type Manifest, MANIFEST_FILE, MANIFEST_SUM_FILE, readManifest } from './manifest.ts'

/** Takes the documents of a backup, a few at a time. */
export type Insert = (collection: string, documents: readonly Uint8Array[]) => Promise<void>

/** Where a backup is restored to: has `work` fill it, and makes use of what is there when that has ended. */
export type Target = (work: (insert: Insert) => Promise<void>) => Promise<void>

/** What is in a backup. Throws `BackupError` where a byte of it is not as it was written, or it is of a newer version. */
export async function checkBackup (folder: string): Promise<Manifest> {
  const [text, sum] = await Promise.all([MANIFEST_FILE, MANIFEST_SUM_FILE].map(async (file) => await readText(join(folder, file), 'utf8')))
    .catch((error: unknown) => { throw new BackupError(`${folder} is no backup (${(error as Error).message})`) })
  const manifest = readManifest(text!, sum!)
  const unknown = unknownSteps(manifest.migrations)
  if (unknown.length > 0) {
    throw new BackupError(`the backup is of a newer version of Parley (${manifest.parley}), whose data this one does not know: ${unknown.join(', ')}`)
  }
  for (const entry of manifest.collections) await checkFile(folder, entry)
  return manifest
}

/** Checks a backup and reads all documents in it. */
export async function verifyBackup (folder: string): Promise<Manifest> {
  const manifest = await checkBackup(folder)
  await readAll(folder, manifest, async () => {})
  return manifest
}

/** Restores a backup. Nothing of the target is touched before all of the backup was checked. */
export async function restoreBackup (folder: string, target: Target): Promise<Manifest> {
  const manifest = await checkBackup(folder)
  await target(async (insert) => await readAll(folder, manifest, insert))
  return manifest
}

async function readAll (folder: string, { collections }: Manifest, take: Insert): Promise<void> {
  for (const entry of collections) {
    for await (const documents of readFile(folder, entry)) await take(entry.name, documents)
  }
}
