import { execFileSync } from 'node:child_process'
import { ObjectId } from 'mongodb'
import t from 'tap'
import { isProblem } from '../edge.ts'
import { startApp, storeUri, type TestApp } from '../helper.ts'
import { checkLedger } from '../ledger.ts'

const root = new URL('../..', import.meta.url).pathname

/** Stalls this process as soon as the next turn is taken, while another one runs `script` on the database. */
async function stallAtNextTurn ({ app, db }: TestApp, script: string): Promise<void> {
  const uri = await storeUri()
  let isTaken = false
  app.mongo.client.on('commandSucceeded', ({ commandName }) => {
    if (commandName !== 'findAndModify' || isTaken) return
    isTaken = true
    const code = `
      import { MongoClient, ObjectId } from 'mongodb'
      const client = await MongoClient.connect(${JSON.stringify(uri)})
      const db = client.db(${JSON.stringify(db.databaseName)})
      await new Promise((resolve) => setTimeout(resolve, 600))
      ${script}
      await client.close()`
    execFileSync(process.execPath, ['--input-type=module', '-e', code], { cwd: root })
  })
}

t.test('a turn that was taken long before it begins, begins when it begins', async (t) => {
  const started = await startApp(t, {})
  const { client, db } = started
  const session = await client.converse()
  await stallAtNextTurn(started, 'await db.collection("stalls").insertOne({ at: new Date() })')
  t.match(await client.ask(`/api/sessions/${session}/messages`, { body: { message: 'x' } }), { status: 200 })
  const [stall, message] = await Promise.all(['stalls', 'messages'].map(async (name) => await db.collection(name).findOne()))
  t.ok((message!['timestamp'] as Date) >= (stall!['at'] as Date), 'whoever follows the tenant has not passed it')
})

t.test('a turn that was lost before it begins, never begins', async (t) => {
  const started = await startApp(t, {})
  const { client, db } = started
  const session = await client.converse()
  await stallAtNextTurn(started, `await db.collection("sessions").updateOne({ _id: new ObjectId("${session}") }, { $set: { turn: null, nextSeq: 1, tipId: null } })`)
  isProblem(t, await client.ask(`/api/sessions/${session}/messages`, { body: { message: 'x' } }), 'overloaded')
  t.equal(await db.collection('messages').countDocuments(), 0)
  t.match(await client.ask(`/api/sessions/${session}/messages`, { body: { message: 'y' } }), { status: 200, body: { userMessage: { seq: 1 } } })
  t.equal((await db.collection('sessions').findOne({ _id: new ObjectId(session) }))!['turn'], null)
  t.same(await checkLedger(await storeUri(), db.databaseName), [])
})
