import { mkdir, readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { Binary, BSONRegExp, Code, Decimal128, Double, Int32, Long, MaxKey, MinKey, ObjectId, Timestamp, UUID } from 'mongodb'
import t from 'tap'
import { runCommand } from '../../src/backup/command.ts'
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
  await db.collection('everything/there is').insertOne(everyType)
  await db.collection<{ _id: number }>('things').insertMany(things)
  await db.collection('signals').insertOne({ topic: 'soon gone' })
  const before = await stored(db, 'things')

  const manifest = await backUp(server, join(folder, 'first'))
  t.same(manifest.collections.map(({ name, documents }) => [name, documents]), [['everything/there is', 1], ['things', 2500]])
  t.same(await verifyBackup(join(folder, 'first')), manifest)
  for (const file of await readdir(join(folder, 'first'))) t.equal((await stat(join(folder, 'first', file))).mode & 0o777, 0o600, file)
  t.same(await readdir(folder), ['first'], 'nothing else is left')

  await restore(join(folder, 'first'), embedded)
  await whileRunning(embedded, async (db) => {
    t.same(await stored(db, 'everything/there is'), [hexOf(everyType)])
    t.same(await stored(db, 'things'), before)
    // The store goes on.
    await backUp(embedded, join(folder, 'second'))
    await db.collection<{ _id: number }>('things').insertOne({ _id: 9999 })
  })
  await restore(join(folder, 'second'), other)
  t.same(await stored(restored, 'everything/there is'), [hexOf(everyType)])
  t.same(await stored(restored, 'things'), before)

  // It does not run any more.
  const unlike = { ...embedded, MONGODB_DATABASE: 'other' }
  await t.rejects(backUp(unlike, join(folder, 'third')), { name: 'BackupError', message: /nothing in the database/ })
  await t.rejects(backUp({ ...embedded, DATA_DIR: folder }, join(folder, 'third')), { message: /no embedded store in/ })
  await t.rejects(backUp(server, join(folder, 'second')), { name: 'BackupError', message: /is there already/ })
  t.same(await readdir(folder), ['first', 'second'])
})

t.test('the commands say what they have done, and end with a code', async (t) => {
  const [{ place, db }, folder] = await Promise.all([serverPlace(t), temporaryFolder(t)])
  await db.collection('things').insertOne({})
  const run = async (...args: string[]) => await runCommand(args, { ...place })
  const to = join(folder, 'copy')
  t.match(await run('backup', '--to', to), { code: 0, stdout: /copy was made: 1 documents of 1 collections \(0\.0 MB, 0\.0 MB compressed\)/, stderr: '' })
  t.match(await run('backup', '--verify', to), { code: 0, stdout: /copy is whole: 1 doc/ })
  t.match(await run('restore', '--from', to), { code: 1, stdout: '', stderr: /^the database \S+ is not empty; --replace removes what is in it\n$/ })

  const names = ['parley-20200101T000000Z', 'parley-20200102T000000Z', 'parley-20200103T000000Z.partial', 'parley-of-mine']
  await Promise.all(names.map(async (name) => await mkdir(join(folder, 'many', name), { recursive: true })))
  t.match(await run('backup', '--into', join(folder, 'many'), '--keep', '2'), { code: 0, stdout: /many has a new backup: 1 doc/ })
  t.match(await readdir(join(folder, 'many')), ['parley-20200102T000000Z', /^parley-2\d{7}T\d{6}Z$/, 'parley-of-mine'])
  await run('backup', '--into', join(folder, 'all'))
  t.match(await readdir(join(folder, 'all')), [/^parley-2/])

  await db.dropDatabase()
  t.match(await run('restore', '--from', to, '--replace'), { code: 0, stdout: /copy was restored: 1 doc/ })
  for (const wrong of [
    ['backup', '--to', to, '--verify', to], ['backup'], ['restore'], ['backup', '--fast'], ['backup', '--to', to, '--keep', '1'], ['backup', '--into', to, '--keep', '0']
  ]) {
    t.match(await run(...wrong), { code: 2, stdout: '', stderr: /\n\nnpm run backup -- --to <folder>/ }, wrong.join(' '))
  }
  t.match(await runCommand(['backup', '--to', join(folder, 'other')], { MONGODB_URI: 'here' }), { code: 1, stderr: /^MONGODB_URI cannot be used/ })
})
