import { MongoClient } from 'mongodb'
import t from 'tap'
import { type Client } from '../helper.ts'
import { checkLedger } from '../ledger.ts'
import { replicaEnv } from '../replicas.ts'
import { ServerProcess } from '../server-process.ts'

const TWINS = 20
const ROUNDS = 10
t.setTimeout(60_000)

t.test(`${TWINS} identical creations at once over two processes make one thing and get one answer`, async (t) => {
  const { key, uri, database, env } = await replicaEnv(t)
  const mongo = new MongoClient(uri)
  t.teardown(async () => await mongo.close())
  const processes = [new ServerProcess(t, env), new ServerProcess(t, env)]
  const clients = await Promise.all(processes.map(async (process) => await process.client(key))) as [Client, Client]
  const configId = await clients[0].createConfig()

  for (let round = 0; round < ROUNDS; round++) {
    for (const [path, body] of [['/api/configs', { purpose: 'Help.', name: `Round ${round}` }], ['/api/sessions', { configId, title: `Round ${round}` }]] as const) {
      const headers = { 'idempotency-key': `round-${round}` }
      const answers = await Promise.all(Array.from({ length: TWINS }, async (_, i) => await clients[i % 2]!.ask(path, { body, headers })))
      t.equal(answers[0]!.status, 201)
      for (const { status, headers, body } of answers) {
        t.strictSame([status, headers.get('location'), headers.get('etag'), body], [
          201, answers[0]!.headers.get('location'), answers[0]!.headers.get('etag'), answers[0]!.body
        ])
      }
      t.equal(answers.filter(({ headers }) => headers.get('idempotency-replayed') === null).length, 1, 'all but one are told so')
    }
  }
  const db = mongo.db(database)
  t.equal(await db.collection('configs').countDocuments(), 1 + ROUNDS)
  t.equal(await db.collection('sessions').countDocuments(), ROUNDS)
  t.strictSame(await checkLedger(uri, database), [])
})
