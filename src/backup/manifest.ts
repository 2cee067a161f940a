import { createHash } from 'node:crypto'
import { type Static, Type } from '@sinclair/typebox'
import { Value } from '@sinclair/typebox/value'

/** Version of the format; a backup of a newer one is refused. */
export const FORMAT = 1
export const MANIFEST_FILE = 'manifest.json'
/** As `sha256sum` writes and checks it. */
export const MANIFEST_SUM_FILE = `${MANIFEST_FILE}.sha256`

const count = Type.Integer({ minimum: 0 })

/** What is in a backup. */
const Manifest = Type.Object({
  format: Type.Integer({ minimum: 1 }),
  /** The version of Parley that made it. */
  parley: Type.String(),
  startedAt: Type.String(),
  endedAt: Type.String(),
  /** What had been brought up to date in the data. */
  migrations: Type.Array(Type.String()),
  collections: Type.Array(Type.Object({
    name: Type.String({ minLength: 1 }),
    /** The documents as BSON, one behind the other, compressed by Zstandard. */
    file: Type.String({ pattern: '^[^/\\\\]+\\.bson\\.zst$' }),
    documents: count,
    /** Of the documents. */
    bytes: count,
    /** Of the file. */
    fileBytes: count,
    sha256: Type.String({ pattern: '^[0-9a-f]{64}$' })
  }))
})

export type Manifest = Static<typeof Manifest>
export type ManifestEntry = Manifest['collections'][number]

/** A backup that cannot be used as it is, or something in the way of one; the message is for the operator. */
export class BackupError extends Error {
  override readonly name = 'BackupError'
}

const sumOf = (text: string) => createHash('sha256').update(text).digest('hex')

/** The manifest and its checksum, as they are written. */
export function written (manifest: Manifest): { text: string, sum: string } {
  const text = `${JSON.stringify(manifest, null, 2)}\n`
  return { text, sum: `${sumOf(text)}  ${MANIFEST_FILE}\n` }
}

/** Reads a manifest. Throws `BackupError` where it is not as it was written, or newer than this code. */
export function readManifest (text: string, sum: string): Manifest {
  if (sum.trim() !== `${sumOf(text)}  ${MANIFEST_FILE}`) throw new BackupError(`${MANIFEST_FILE} is not as it was written: its checksum is another`)
  const manifest: unknown = JSON.parse(text)
  const { format } = manifest as { format?: unknown }
  if (typeof format === 'number' && format > FORMAT) {
    throw new BackupError(`the backup has format ${format}; this version of Parley reads formats up to ${FORMAT}`)
  }
  if (!Value.Check(Manifest, manifest)) throw new BackupError(`${MANIFEST_FILE} is not one of a backup`)
  return manifest
}
