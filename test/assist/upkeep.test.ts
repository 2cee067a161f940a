import { ObjectId } from 'mongodb'
import t from 'tap'
import { Background } from '../../src/assist/background.ts'
import { startApp } from '../helper.ts'
import { startAppWithSim, startTestSim, StepClock } from '../sim.ts'
import { endingCommands } from '../turn-commands.ts'
import {
  before, keepingOf, converse, naming, recording, says, summed, titled, type Problem, type Prompt, type Session
} from './conversation.ts'

t.test('titles', async (t) => {
  const started = await startAppWithSim(t)
  const { app, client, db, sim } = started
  t.afterEach(() => sim.reset())
  const namings = (): Prompt[] =>
    sim.requests().filter(({ rawBody }) => rawBody.includes(naming)).map(({ json }) => json as Prompt)

  t.test('a session without a title gets one from its first exchange, by one small call, and its cost is counted', async (t) => {
    sim.script([{ match: { textIncludes: naming }, ...says('"Lost parcel"\n') }])
    const { say, get } = await converse(started, titled)
    t.match(await get(), { title: null })
    const { reply } = await say('Where is my parcel?')
    const { title, upkeep } = await get()
    t.equal(title, 'Lost parcel')
    t.match(upkeep, { promptTokens: Number, completionTokens: Number, totalTokens: Number, costUsd: Number })
    const [call] = namings()
    t.match(call, { max_tokens: 24, temperature: 0, stream: false })
    t.strictSame(JSON.parse(call!.messages[1]!.content), { question: 'Where is my parcel?', reply })
    await say('And now?')
    t.equal(namings().length, 1, 'only once')
    t.equal((await get()).title, 'Lost parcel')
  })

  t.test('a title that was given stays, and where titles are switched off there is none', async (t) => {
    const given = await client.createSession(await client.createConfig(titled), { title: 'Mine' })
    await client.ask(`/api/sessions/${given}/messages`, { body: { message: 'Hi' } })
    const { say, get } = await converse(started, { titles: false })
    await say('Hi')
    await app.upkeep.idle()
    t.equal((await client.ask<Session>(`/api/sessions/${given}`)).body.title, 'Mine')
    t.match(await get(), { title: null })
    t.notOk((await get()).upkeep)
    t.equal(namings().length, 0)
  })

  t.test('a title that was given meanwhile stays; what the other one took is counted all the same', async (t) => {
    const { path, say, get } = await converse(started, titled)
    sim.script([{ match: { textIncludes: naming }, ...says('Too late') }])
    before(keepingOf(app).title, async () => { await client.ask(path, { method: 'PATCH', body: { title: 'Mine' } }) })
    await say('Hi')
    t.match(await get(), { title: 'Mine', upkeep: { totalTokens: Number } })
  })

  t.test('what models put around a title is taken off, and what is no title is not taken', async (t) => {
    const answers: Array<[string, string]> = [
      ['  “Lost parcel”  ', 'Lost parcel'],
      ['**Lost parcel**', 'Lost parcel'],
      ['# Lost parcel', 'Lost parcel'],
      ['Title: "Lost parcel"', 'Lost parcel'],
      ['Lost parcel.\n\nIt is about a parcel.', 'Lost parcel'],
      ['Paris: a weekend', 'Paris: a weekend'],
      ['a'.repeat(90), `${'a'.repeat(79)}…`],
      ['""', 'Where is it?']
    ]
    for (const [answer, title] of answers) {
      sim.script([{ match: { textIncludes: naming }, ...says(answer) }])
      const { say, get } = await converse(started, titled)
      await say('Where is it? I need it.')
      t.equal((await get()).title, title)
      sim.reset()
    }
  })

  t.test('a cost that the model did not tell is counted as an estimate', async (t) => {
    sim.script([{ match: { textIncludes: naming }, fault: { content: 'Lost parcel', malformed: 'usageNull' } }])
    const { say, get } = await converse(started, titled)
    await say('Where is my parcel?')
    t.match(await get(), { title: 'Lost parcel', upkeep: { totalTokens: Number, estimated: true } })
  })

  t.test('a model that is away leaves it to the rules', async (t) => {
    sim.script([{ match: { textIncludes: naming }, times: 'always', fault: { status: { code: 401 } } }])
    const { say, get } = await converse(started, titled)
    await say('Where is my parcel? It was sent on Monday.')
    t.match(await get(), { title: 'Where is my parcel?' })
    t.notOk((await get()).upkeep)
  })

  t.test('a failed reply makes no title; the next exchange does', async (t) => {
    const { say, get } = await converse(started, titled)
    sim.script([{ fault: { status: { code: 401 } } }])
    await say('Hi')
    t.equal((await get()).title, null)
    await say('Hello')
    t.ok((await get()).title)
  })

  t.test('a title goes with a message that it was made of, and only then', async (t) => {
    for (const [what, gone] of [['userMessage', true], ['botMessage', true], [undefined, false]] as const) {
      const { id, say, get, erase } = await converse(started, titled)
      const first = await say('My secret is 4711.')
      const second = await say('Another thing.')
      const { title } = await get()
      t.ok(title)
      await erase(what ? first[what].id : second.userMessage.id)
      t.equal((await get()).title, gone ? null : title)
      const told = await db.collection('changes').find({ sessionId: new ObjectId(id), type: 'session.updated' }).sort({ rev: 1 }).toArray()
      t.same(told.map(({ data }) => (data as { title: unknown }).title), gone ? [null, null] : [title], 'readers of the feed know of it')
    }
    const { path, say, get, erase } = await converse(started, titled)
    const { userMessage } = await say('My secret is 4711.')
    await client.ask(path, { method: 'PATCH', body: { title: 'Mine' } })
    await erase(userMessage.id)
    t.equal((await get()).title, 'Mine', 'a title that somebody gave stays')
  })

  t.test('clearing a session takes its title along, unless somebody gave it', async (t) => {
    for (const given of [false, true]) {
      const { id, path, say, get, clear } = await converse(started, titled)
      await say('My secret is 4711.')
      if (given) await client.ask(path, { method: 'PATCH', body: { title: 'Mine' } })
      await clear()
      t.equal((await get()).title, given ? 'Mine' : null)
      const told = await db.collection('changes').find({ sessionId: new ObjectId(id), type: 'session.updated' }).toArray()
      t.same(told.map(({ data }) => (data as { title: unknown }).title), given ? [null, 'Mine'] : [null])
    }
  })

  t.test('a message that is erased while a title is made of it leaves none behind', async (t) => {
    const { path, say, get, erase } = await converse(started, titled)
    before(keepingOf(app).title, async () => {
      const { body } = await client.ask<{ data: Array<{ id: string }> }>(`${path}/messages`)
      await erase(body.data[0]!.id)
    })
    await say('My secret is 4711.')
    t.match(await get(), { title: null, upkeep: { totalTokens: Number } })
  })
})

t.test('a turn whose prompt has a summary costs no command more than another', async (t) => {
  const sim = await startTestSim(t)
  const started = await startApp(t, { MISTRAL_BASE_URL: sim.url, MISTRAL_API_KEY: 'sim' })
  // What is indexed in the background asks for the same documents.
  await started.app.messageSearch.close()
  const { say } = await converse(started, { ...titled, ...summed })
  sim.script([{ match: { textIncludes: recording }, ...says('the record') }])
  await say('one')
  await say('two')
  const names: string[] = []
  started.app.mongo.client.on('commandStarted', ({ commandName, command }) => {
    // Health looks after the store now and then.
    if (commandName === 'ping') return
    // What asks for nobody's documents in particular is other background work.
    const filter = (command as { filter?: object }).filter
    if (!filter || '_id' in filter || 'sessionId' in filter) names.push(commandName)
  })
  await say('three')
  t.match(sim.requests().at(-1)?.rawBody, 'the record')
  t.strictSame(names.sort(), ['findAndModify', 'insert', ...await endingCommands(started.db)].sort())
})

t.test('the end of the process ends what is done behind the turns, and who waits for a summary is told', async (t) => {
  const clock = new StepClock()
  const { app, client, sim, db } = await startAppWithSim(t, { clock })
  sim.script([
    { match: { textIncludes: naming }, times: 'always', fault: { hang: true } },
    { match: { textIncludes: recording }, times: 'always', fault: { latencyMs: 1000 } }
  ])
  const session = await client.converse(titled)
  await client.ask(`/api/sessions/${session}/messages`, { body: { message: 'Hi' } })
  const asked = client.ask<Problem>(`/api/sessions/${session}/summary`, { method: 'POST' })
  await clock.arrived()
  await app.close()
  t.equal((await asked).body.code, 'overloaded')
  t.match(await db.collection('sessions').findOne(), { title: null })
})

t.test('a fault of ours in the background is logged, and hurts no turn', async (t) => {
  const { app, client } = await startAppWithSim(t)
  const logged: string[] = []
  app.log.warn = (_details: unknown, message?: string) => { logged.push(String(message)) }
  const { repository, method } = keepingOf(app).title
  Object.assign(repository, { [method]: async () => { throw new Error('a fault of ours') } })
  const { say } = await converse({ app, client }, titled)
  t.ok((await say('Hi')).reply)
  t.strictSame(logged, ['a title or summary could not be made'])
})

t.test('without a model, titles and summaries are made by rules', async (t) => {
  const started = await startApp(t)
  const { say, get, summarise, summary } = await converse(started, {
    ...titled, ...summed, instructions: 'Parcels leave the warehouse within two days. Returns are free for 30 days.'
  })
  await say('When do parcels leave? I ordered two parcels on Monday.\nThanks!')
  t.match(await get(), { title: 'When do parcels leave?' })
  t.notOk((await get()).upkeep)
  await say('Are returns free?')
  const { body } = await summary()
  t.match(body, {
    source: 'rules', model: null, throughSeq: 4, messageCount: 4, text: /Parcels leave the warehouse within two days\./
  })
  t.notOk(body.usage)
  await say('What of parcels abroad?')
  const later = (await summarise()).body
  t.match(later, { throughSeq: 6, messageCount: 6, text: /within two days/ }, 'what was said before is still in it')
  t.ok(later.text.length <= 1000)
})

t.test('background work is done a little at a time, once per key, and dropped where there is too much', async (t) => {
  const failures: unknown[] = []
  const background = new Background((error) => { failures.push(error) })
  const gates = Array.from({ length: 300 }, () => Promise.withResolvers<void>())
  const begun: number[] = []
  const add = (n: number, key = `${n}`) => background.add(key, async () => {
    begun.push(n)
    await gates[n]!.promise
  })
  for (let n = 0; n < 300; n++) add(n)
  t.strictSame(begun, [0, 1, 2, 3])
  add(299, '0')
  add(299, '5')
  gates[2]!.resolve()
  gates[0]!.reject(new Error('no'))
  for (const { promise, resolve } of gates) {
    resolve()
    await promise.catch(() => {})
  }
  await background.idle()
  t.equal(begun.length, 204, '4 at once and 200 that wait')
  t.strictSame(new Set(begun).size, 204)
  t.match(failures, [{ message: 'no' }])

  let aborted = false
  background.add('slow', async (signal) => await new Promise((_resolve, reject) => signal.addEventListener('abort', () => {
    aborted = true
    reject(new Error('aborted'))
  })))
  await background.close()
  t.ok(aborted)
  background.add('late', async () => { t.fail('it is closed') })
  await background.idle()
  t.equal(failures.length, 1, 'what the end of the process cuts off is no failure')
})
