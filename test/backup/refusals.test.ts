import { cp, mkdir, open, readFile, rename, rm, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { type Manifest, written } from '../../src/backup/manifest.ts'
import { restoreBackup, verifyBackup } from '../../src/backup/restore.ts'
import { targetOf } from '../../src/backup/stores.ts'
import { startEmbeddedStore } from '../../src/embedded-mongo/index.ts'
import { type Place } from '../../src/store-place.ts'
import { openStore } from '../../src/store/store.ts'
import { temporaryFolder } from '../helper.ts'
import { backUp, embeddedPlace, restore, serverPlace, whileRunning } from './places.ts'

let made: Promise<string> | undefined

/** A backup of 3000 things, the same for all tests. */
async function someBackup (): Promise<string> {
  made ??= (async () => {
    const [{ place, db }, folder] = await Promise.all([serverPlace(t), temporaryFolder(t)])
    await db.collection<{ _id: string }>('migrations').insertOne({ _id: 'lines' })
    await db.collection<{ _id: number }>('things').insertMany(Array.from({ length: 3000 }, (_, _id) => ({ _id, text: `thing ${_id}` })))
    await backUp(place, join(folder, 'backup'))
    return join(folder, 'backup')
  })()
  return await made
}

async function copyOf (t: Test, backup: string): Promise<string> {
  const folder = join(await temporaryFolder(t), 'backup')
  await cp(backup, folder, { recursive: true })
  return folder
}

/** Writes a manifest as it would have been written. */
async function resign (folder: string, change: (manifest: Manifest) => object): Promise<void> {
  const manifest = JSON.parse(await readFile(join(folder, 'manifest.json'), 'utf8')) as Manifest
  const { text, sum } = written({ ...manifest, ...change(manifest) })
  await writeFile(join(folder, 'manifest.json'), text)
  await writeFile(join(folder, 'manifest.json.sha256'), sum)
}

const damages: Array<[name: string, damage: (folder: string) => Promise<void>, expected: RegExp]> = [
  ['a byte that is another', async (folder) => {
    await using file = await open(join(folder, 'things.bson.zst'), 'r+')
    const byte = Buffer.alloc(1)
    await file.read(byte, 0, 1, 100)
    await file.write(Buffer.from([byte[0]! ^ 1]), 0, 1, 100)
  }, /things\.bson\.zst is not as it was written/],
  ['a file that ends early', async (folder) => await truncate(join(folder, 'things.bson.zst'), 200), /things\.bson\.zst has 200 bytes and had/],
  ['a file that is gone', async (folder) => await rm(join(folder, 'migrations.bson.zst')), /migrations\.bson\.zst cannot be read/],
  ['a manifest that is gone', async (folder) => await rm(join(folder, 'manifest.json')), /is no backup/],
  ['a manifest that was changed', async (folder) => {
    const text = await readFile(join(folder, 'manifest.json'), 'utf8')
    await writeFile(join(folder, 'manifest.json'), text.replace('"documents": 3000', '"documents": 2999'))
  }, /manifest\.json is not as it was written/],
  ['a manifest of something else', async (folder) => await resign(folder, () => ({ collections: [{ name: '../x' }] })), /is not one of a backup/],
  ['a newer format', async (folder) => await resign(folder, () => ({ format: 2 })), /has format 2; this version of Parley reads formats up to 1/],
  ['newer data', async (folder) => await resign(folder, () => ({ migrations: ['lines', 'of-tomorrow'] })), /newer version of Parley[^]*of-tomorrow/]
]

t.test('a backup that is not as it was written, or newer, is refused before anything is written', async (t) => {
  const whole = await someBackup()
  const { place, db } = await serverPlace(t)
  const embedded = await embeddedPlace(t)
  for (const [name, damage, expected] of damages) {
    const folder = await copyOf(t, whole)
    await damage(folder)
    for (const to of [place, embedded]) await t.rejects(restore(folder, to, true), { name: 'BackupError', message: expected }, name)
    await t.rejects(verifyBackup(folder), { message: expected })
  }
  t.same(await db.listCollections().toArray(), [])
})

t.test('files that do not hold what the manifest says are found by reading them', async (t) => {
  const folder = await copyOf(t, await someBackup())
  const swap = async (change: Partial<Manifest['collections'][number]>) => await resign(folder, ({ collections }) => (
    { collections: collections.map((entry) => entry.name === 'things' ? { ...entry, ...change } : entry) }
  ))
  await swap({ documents: 2999 })
  await t.rejects(verifyBackup(folder), { message: /things\.bson\.zst has 3000 documents of \d+ bytes, and had 2999/ })
  const { fileBytes, sha256 } = (JSON.parse(await readFile(join(folder, 'manifest.json'), 'utf8')) as Manifest).collections[0]!
  await rename(join(folder, 'migrations.bson.zst'), join(folder, 'things.bson.zst'))
  await cp(join(folder, 'things.bson.zst'), join(folder, 'migrations.bson.zst'))
  await swap({ fileBytes, sha256, documents: 3000 })
  await t.rejects(verifyBackup(folder), { message: /has 1 documents/ })
})

t.test('what is there is replaced only where that is said', async (t) => {
  const folder = await someBackup()
  const { place, db } = await serverPlace(t)
  await db.collection('old').insertOne({})
  await t.rejects(restore(folder, place), { name: 'BackupError', message: /is not empty/ })
  t.equal(await db.collection('old').countDocuments(), 1)
  await restore(folder, place, true)
  t.equal(await db.collection('old').countDocuments(), 0)
  t.equal(await db.collection('things').countDocuments(), 3000)
})

/** Restores until the first documents of some collection are there. */
async function restoreHalf (folder: string, place: Place): Promise<void> {
  await restoreBackup(folder, async (work) => await targetOf(place, { replace: false })(async (insert) => await work(async (collection, documents) => {
    await insert(collection, documents)
    if (collection === 'things') throw new Error('cut off')
  })))
}

t.test('nothing starts on half of a backup, and restoring it again makes it whole', async (t) => {
  const folder = await someBackup()
  const { place, db } = await serverPlace(t)
  await t.rejects(restoreHalf(folder, place), { message: 'cut off' })
  t.ok(await db.collection('things').countDocuments() > 0)
  await t.rejects(openStore(db), { message: /has half of a backup, whose restore began at \d{4}-[^]*restore it again/ })
  await restore(folder, place)
  t.equal(await db.collection('things').countDocuments(), 3000)
  await t.resolves(openStore(db))
})

t.test('an embedded store stays as it was until all of a backup is there', async (t) => {
  const folder = await someBackup()
  const embedded = await embeddedPlace(t)
  await whileRunning(embedded, async (db) => {
    await db.collection('old').insertOne({})
    await t.rejects(restore(folder, embedded), { name: 'BackupError', message: /there are data in/ })
    await t.rejects(restore(folder, embedded, true), { message: /in use by another process/ })
  })
  await t.rejects(restoreBackup(folder, async (work) => await targetOf(embedded, { replace: true })(async () => {
    await work(async () => { throw new Error('cut off') })
  })), { message: 'cut off' })
  await whileRunning(embedded, async (db) => t.equal(await db.collection('old').countDocuments(), 1))
  // Who is killed leaves this.
  await mkdir(join(embedded.DATA_DIR, 'replacement'))
  await writeFile(join(embedded.DATA_DIR, 'replacement', 'store.mdb'), 'half')
  await t.rejects(startEmbeddedStore({ dataDir: embedded.DATA_DIR }), { message: /has not ended; restore again, or remove/ })
  await restore(folder, embedded, true)
  await whileRunning(embedded, async (db) => {
    t.same([await db.collection('old').countDocuments(), await db.collection('things').countDocuments()], [0, 3000])
  })
})
