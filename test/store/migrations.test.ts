import { MongoClient, ObjectId, type Db } from 'mongodb'
import t, { type Test } from 'tap'
import { buildApp } from '../../src/app.ts'
import { loadConfig } from '../../src/config.ts'
import { runCommand } from '../../src/migrate/command.ts'
import { type Place } from '../../src/store-place.ts'
import { LeaseRepository } from '../../src/store/leases.ts'
import { Migrations } from '../../src/store/migrations/migrations.ts'
import { openStore } from '../../src/store/store.ts'
import { version } from '../../src/version.ts'
import { embeddedPlace, serverPlace, whileRunning } from '../backup/places.ts'

/** Runs the command in this process. */
async function command (place: Place, ...args: string[]) {
  const [said, complained]: [string[], string[]] = [[], []]
  const code = await runCommand(args, { ...place }, (line) => said.push(line), (line) => complained.push(line))
  return { code, said, complained: complained.join('\n') }
}

/** What an early version left: a session of three messages, and keys without identifiers. */
async function addOldData (db: Db): Promise<void> {
  const sessionId = new ObjectId()
  await db.collection('sessions').insertOne({ _id: sessionId, tenantId: 'default' })
  await db.collection('messages').insertMany([1, 2, 3].map((seq) => ({ sessionId, tenantId: 'default', seq, timestamp: new Date() })))
  await db.collection<{ _id: string }>('apiKeys').insertMany(['pk_a', 'pk_b'].map((_id) => ({ _id, tenantId: 'default' })))
}

async function countOutdated (db: Db): Promise<number[]> {
  const counts = [['sessions', 'rev'], ['messages', 'rev'], ['apiKeys', 'id']].map(async ([name, field]) =>
    await db.collection(name!).countDocuments({ [field!]: { $exists: false } }))
  return await Promise.all(counts)
}

/** What there is: collections, their indexes, and all documents. */
async function everything (db: Db): Promise<string> {
  const names = (await db.listCollections().toArray()).map(({ name }) => name).sort()
  const found = await Promise.all(names.map(async (name) => [name, await db.collection(name).indexes(), await db.collection(name).find().toArray()]))
  return JSON.stringify(found)
}

async function goesThroughAll (t: Test, place: Place, withDb: <T>(work: (db: Db) => Promise<T>) => Promise<T>): Promise<void> {
  await withDb(addOldData)
  const before = await withDb(everything)
  t.same(await command(place, '--status'), { code: 0, said: ['lines: to be done', 'api-key-ids: to be done'], complained: '' })
  t.same(await command(place, '--dry-run'), {
    code: 0, said: ['lines: would change 1 documents of sessions', 'api-key-ids: would change 2 documents of apiKeys'], complained: ''
  })
  t.equal(await withDb(everything), before, 'nothing was written')
  t.match(await command(place), {
    code: 0, said: [/^the data went through lines in \d+ ms$/, /^the data went through api-key-ids in \d+ ms$/, 'the data is up to date'], complained: ''
  })
  t.same(await withDb(countOutdated), [0, 0, 0])
  const after = await withDb(everything)
  t.match((await command(place, '--status')).said.join('\n'), new RegExp(`^lines: done at \\S+Z by version ${version} in \\d+ ms\napi-key-ids: done at `))
  t.same(await command(place, '--dry-run'), { code: 0, said: ['the data is up to date'], complained: '' })
  t.same(await command(place), { code: 0, said: ['the data is up to date'], complained: '' })
  t.equal(await withDb(everything), after, 'a second time changes nothing')
}

t.test('a server with old data', async (t) => {
  const { place, db } = await serverPlace(t)
  await goesThroughAll(t, place, async (work) => await work(db))
})

t.test('an embedded store with old data', async (t) => {
  const place = await embeddedPlace(t)
  t.match(await command(place, '--status'), { code: 1, complained: /there is no embedded store in / })
  t.match(await command(place, '--dry-run'), { code: 1, complained: /there is no embedded store in / })
  await goesThroughAll(t, place, async (work) => await whileRunning(place, work))
  await whileRunning(place, async () => {
    t.match(await command(place), { code: 1, complained: /the data directory .* is in use by another process/ })
  })
})

t.test('what cannot be done', async (t) => {
  const { place, db } = await serverPlace(t)
  for (const args of [['--status', '--dry-run'], ['--force'], ['up']]) t.match(await command(place, ...args), { code: 2, said: [], complained: /npm run migrate/ })
  t.match(await command({ ...place, MONGODB_DATABASE: 'a b' }), { code: 1, complained: /^MONGODB_DATABASE cannot be used/ })
  await addOldData(db)
  await db.collection<{ _id: string, startedAt: Date }>('restores').insertOne({ _id: 'running', startedAt: new Date() })
  for (const args of [['--dry-run'], []]) t.match(await command(place, ...args), { code: 1, said: [], complained: /has half of a backup/ })
  await db.collection('restores').drop()
  await db.collection<{ _id: string }>('migrations').insertOne({ _id: 'of-tomorrow' })
  const before = await everything(db)
  for (const args of [['--status'], ['--dry-run'], []]) {
    t.match(await command(place, ...args), { code: 1, said: [], complained: /newer version of Parley \(unknown: of-tomorrow\)/ })
  }
  t.equal(await everything(db), before)
})

t.test('records of earlier versions count', async (t) => {
  const { place, db } = await serverPlace(t)
  await db.collection<{ _id: string, doneAt: Date }>('migrations').insertOne({ _id: 'lines', doneAt: new Date(0) })
  t.same((await command(place, '--status')).said, ['lines: done at 1970-01-01T00:00:00.000Z', 'api-key-ids: to be done'])
})

t.test('a server that may not migrate refuses old data, and touches nothing', async (t) => {
  const { place, db } = await serverPlace(t)
  await addOldData(db)
  const before = await everything(db)
  await t.rejects(openStore(db, { migrate: false }), { message: /^the data is not up to date \(missing: lines, api-key-ids\), and MIGRATE_ON_START is false\. Run `npm run migrate` first\.$/ })
  t.equal(await everything(db), before)
  await command(place)
  const app = await buildApp(loadConfig({ ...place, MIGRATE_ON_START: 'false' }))
  await app.close()
})

t.test('one process migrates, and the others wait for it', async (t) => {
  const { db } = await serverPlace(t)
  await addOldData(db)
  const leases = new LeaseRepository(db)
  await leases.hold('migrations', 'another', 60_000)
  await t.rejects(new Migrations(db).run({ pollMs: 1, waitMs: 0 }), { message: /^another process has been bringing the data up to date for more than 0 ms$/ })
  t.same(await countOutdated(db), [1, 3, 2])
  const told: string[] = []
  const waits = Promise.withResolvers<void>()
  const tell = (line: string) => {
    told.push(line)
    waits.resolve()
  }
  const opened = openStore(db, { tell, pollMs: 1 })
  await waits.promise
  t.same(told, ['another process brings the data up to date; waiting for it'])
  t.same(await countOutdated(db), [1, 3, 2])
  await leases.release('migrations', 'another')
  await opened
  t.same(await countOutdated(db), [0, 0, 0])
  t.equal(told.length, 3)
  t.equal(await db.collection('leases').countDocuments(), 0)
})

t.test('what a killed process has begun is ended by another, when its lease lapses', async (t) => {
  const { db } = await serverPlace(t)
  await addOldData(db)
  await new LeaseRepository(db).hold('migrations', 'killed', 1)
  // It has linked one message, and given one key its identifier.
  const first = await db.collection('messages').findOneAndUpdate({ seq: 1 }, { $set: { rev: 1, parentId: null } }, { returnDocument: 'after' })
  const key = await db.collection<{ _id: string }>('apiKeys').findOneAndUpdate({ _id: 'pk_a' }, { $set: { id: new ObjectId() } }, { returnDocument: 'after' })
  await openStore(db, { pollMs: 1, leaseMs: 3 })
  t.same(await countOutdated(db), [0, 0, 0])
  t.same(await db.collection('messages').findOne({ seq: 1 }), first)
  t.same(await db.collection<{ _id: string }>('apiKeys').findOne({ _id: 'pk_a' }), key)
  t.same(await db.collection('messages').distinct('rev'), [1, 2, 3])
})

t.test('data that are up to date cost one read', async (t) => {
  const { place, db } = await serverPlace(t)
  await openStore(db)
  const client = new MongoClient(place.MONGODB_URI!, { monitorCommands: true })
  t.teardown(async () => await client.close())
  const commands: string[] = []
  client.on('commandStarted', ({ commandName, command }) => { commands.push(`${commandName} ${String(command[commandName])}`) })
  await openStore(client.db(place.MONGODB_DATABASE))
  t.equal(commands[0], 'find migrations')
  t.same(commands.slice(1).filter((command) => /migrations|leases/.test(command)), [])
})
