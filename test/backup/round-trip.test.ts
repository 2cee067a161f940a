import { execFile } from 'node:child_process'
import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { Binary, BSONRegExp, Code, Decimal128, Double, Int32, Long, MaxKey, MinKey, ObjectId, Timestamp, UUID } from 'mongodb'
import t from 'tap'
import { verifyBackup } from '../../src/backup/restore.ts'
import { temporaryFolder } from '../helper.ts'
import { backUp, embeddedPlace, hexOf, restore, serverPlace, stored, whileRunning } from './places.ts'

const everyType = {
  _id: new ObjectId(),
  double: new Double(1),
  half: new Double(0.5),
  negativeZero: new Double(-0),
  int: new Int32(1),
  long: Long.fromString('9007199254740993'),
  small: Long.fromNumber(1),
  decimal: Decimal128.fromString('1.10'),
  text: 'naïve 🙂',
  date: new Date(1_790_000_000_123),
  bytes: new Binary(Buffer.from([0, 255, 10]), 0),
  uuid: new UUID(),
  other: new Binary(Buffer.from('x'), 128),
  regex: new BSONRegExp('a.b', 'i'),
  code: new Code('f()'),
  timestamp: new Timestamp({ t: 1, i: 2 }),
  yes: true,
  nothing: null,
  min: new MinKey(),
  max: new MaxKey(),
  list: [new Double(2), 'x', { nested: Long.fromNumber(3) }, []],
  empty: {}
}

t.test('what is stored goes from a server to an embedded store and back, byte for byte', async (t) => {
  const [{ place: server, db }, { place: other, db: restored }, embedded, folder] =
    await Promise.all([serverPlace(t), serverPlace(t), embeddedPlace(t), temporaryFolder(t)])
  const things = Array.from({ length: 2500 }, (_, i) => ({ _id: i, text: 'x'.repeat(i % 700) }))
  await db.collection('everything').insertOne(everyType)
  await db.collection<{ _id: number }>('things').insertMany(things)
  await db.collection('signals').insertOne({ topic: 'soon gone' })
  const before = await stored(db, 'things')

  const manifest = await backUp(server, join(folder, 'first'))
  t.same(manifest.collections.map(({ name, documents }) => [name, documents]), [['everything', 1], ['things', 2500]])
  t.same(await verifyBackup(join(folder, 'first')), manifest)
  for (const file of await readdir(join(folder, 'first'))) t.equal((await stat(join(folder, 'first', file))).mode & 0o777, 0o600, file)
  t.same(await readdir(folder), ['first'], 'nothing else is left')

  await restore(join(folder, 'first'), embedded)
  await whileRunning(embedded, async (db) => {
    t.same(await stored(db, 'everything'), [hexOf(everyType)])
    t.same(await stored(db, 'things'), before)
    // The store goes on.
    await backUp(embedded, join(folder, 'second'))
    await db.collection<{ _id: number }>('things').insertOne({ _id: 9999 })
  })
  await restore(join(folder, 'second'), other)
  t.same(await stored(restored, 'everything'), [hexOf(everyType)])
  t.same(await stored(restored, 'things'), before)
})

t.test('a store that does not run can be copied, too, and one that is not there cannot', async (t) => {
  const [embedded, folder] = await Promise.all([embeddedPlace(t), temporaryFolder(t)])
  await t.rejects(backUp(embedded, join(folder, 'none')), { message: /no embedded store in/ })
  await whileRunning(embedded, async (db) => await db.collection('things').insertOne({}))
  t.match(await backUp(embedded, join(folder, 'one')), { collections: [{ name: 'things', documents: 1 }] })
  await t.rejects(backUp({ ...embedded, MONGODB_DATABASE: 'other' }, join(folder, 'other')), { message: /nothing in the database/ })
  await t.rejects(backUp(embedded, join(folder, 'one')), { message: /is there already/ })
  t.same(await readdir(folder), ['one'])
})

t.test('the commands say what they have done, and end with a code', async (t) => {
  const [{ place, db }, folder] = await Promise.all([serverPlace(t), temporaryFolder(t)])
  await db.collection('things').insertOne({})
  const run = async (...args: string[]) => await promisify(execFile)(process.execPath, ['src/backup/main.ts', ...args], { env: { ...process.env, ...place } })
    .catch((error: unknown) => error as { code: number, stdout: string, stderr: string })
  const to = join(folder, 'copy')
  t.match(await run('backup', '--to', to), { stdout: /copy was made: 1 documents of 1 collections/, stderr: '' })
  const [verified, refused, twice, nothing, odd] = await Promise.all([
    run('backup', '--verify', to), run('restore', '--from', to), run('backup', '--to', to, '--verify', to), run('restore'), run('backup', '--fast')
  ])
  t.match(verified, { stdout: /copy is whole/ })
  t.match(refused, { code: 1, stdout: '', stderr: /^the database \S+ is not empty; --replace removes what is in it\n$/ })
  for (const wrong of [twice, nothing, odd]) t.match(wrong, { code: 2, stdout: '', stderr: /npm run backup -- --to <folder>/ })
})
