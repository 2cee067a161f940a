import t, { type Test } from 'tap'
import { type Fault } from '../../src/mistral-sim/index.ts'
import { Background } from '../../src/assist/background.ts'
import { summariseByRules } from '../../src/assist/summary-by-rules.ts'
import { type Session as StoredSession } from '../../src/store/sessions.ts'
import { startApp, type TestApp } from '../helper.ts'
import { startAppWithSim, StepClock } from '../sim.ts'

interface Message { id: string, seq: number, content: string }
interface Exchange { reply: string, userMessage: Message, botMessage: Message }
interface Usage { promptTokens: number, completionTokens: number, totalTokens: number, costUsd?: number }
interface Session { title: string | null, branchId: string, upkeep?: Usage }
interface Summary {
  text: string
  throughSeq: number
  messageCount: number
  source: string
  model: string | null
  usage?: Usage
}
interface Problem { code: string, detail: string }
interface Prompt { messages: Array<{ role: string, content: string }> }

const says = (content: string): { fault: Fault } => ({ fault: { content } })
const naming = 'You name conversations'
const recording = 'You keep the record'

/** A conversation, with everything done that is done behind its turns before the next thing is. */
async function converse ({ app, client }: Pick<TestApp, 'app' | 'client'>, config: object) {
  const session = await client.converse({ ...config })
  const settled = async <T>(answer: Promise<{ status: number, body: T }>): Promise<T> => {
    const { body } = await answer
    await app.upkeep.idle()
    return body
  }
  const path = `/api/sessions/${session}`
  return {
    path,
    id: session,
    say: async (message: string) => await settled(client.ask<Exchange>(`${path}/messages`, { body: { message } })),
    edit: async (id: string, message: string) => await settled(client.ask<Exchange>(`${path}/messages/${id}`, { method: 'PUT', body: { message } })),
    erase: async (id: string) => await client.ask(`${path}/messages/${id}`, { method: 'DELETE' }),
    clear: async () => await client.ask(`${path}/messages`, { method: 'DELETE' }),
    get: async () => (await client.ask<Session>(path)).body,
    summarise: async () => await client.ask<Summary>(`${path}/summary`, { method: 'POST' }),
    summary: async () => await client.ask<Summary>(`${path}/summary`)
  }
}

/** Does something once, right before what was made is kept. */
function before ({ store: { upkeep } }: TestApp['app'], method: 'keepTitle' | 'keepSummary', work: (session: StoredSession) => Promise<void>) {
  Object.assign(upkeep, {
    [method]: async (session: StoredSession, ...made: unknown[]): Promise<unknown> => {
      Reflect.deleteProperty(upkeep, method)
      await work(session)
      const keep = upkeep[method].bind(upkeep) as (...made: unknown[]) => Promise<boolean>
      return await keep(session, ...made)
    }
  })
}

const titled = { titles: true }
const summed = { summaries: true, historyLimit: 4 }

t.test('titles', async (t) => {
  const started = await startAppWithSim(t)
  const { app, client, sim } = started
  t.afterEach(() => sim.reset())
  const namings = (): Prompt[] => sim.requests().filter(({ rawBody }) => rawBody.includes(naming)).map(({ json }) => json as Prompt)

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
    before(app, 'keepTitle', async () => { await client.ask(path, { method: 'PATCH', body: { title: 'Mine' } }) })
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
      const { say, get, erase } = await converse(started, titled)
      const first = await say('My secret is 4711.')
      const second = await say('Another thing.')
      const { title } = await get()
      t.ok(title)
      await erase(what ? first[what].id : second.userMessage.id)
      t.equal((await get()).title, gone ? null : title)
    }
    const { path, say, get, erase } = await converse(started, titled)
    const { userMessage } = await say('My secret is 4711.')
    await client.ask(path, { method: 'PATCH', body: { title: 'Mine' } })
    await erase(userMessage.id)
    t.equal((await get()).title, 'Mine', 'a title that somebody gave stays')
  })

  t.test('clearing a session takes its title along, unless somebody gave it', async (t) => {
    for (const given of [false, true]) {
      const { path, say, get, clear } = await converse(started, titled)
      await say('My secret is 4711.')
      if (given) await client.ask(path, { method: 'PATCH', body: { title: 'Mine' } })
      await clear()
      t.equal((await get()).title, given ? 'Mine' : null)
    }
  })

  t.test('a message that is erased while a title is made of it leaves none behind', async (t) => {
    const { say, get, erase } = await converse(started, titled)
    before(app, 'keepTitle', async (session) => {
      const [message] = await app.store.messages.history(session, { limit: 2 })
      await erase(message!.id)
    })
    await say('My secret is 4711.')
    t.match(await get(), { title: null, upkeep: { totalTokens: Number } })
  })
})

t.test('summaries', async (t) => {
  const started = await startAppWithSim(t)
  const { app, client, sim, clientFor } = started
  t.afterEach(() => sim.reset())
  const recordings = (): Array<{ summary?: string, messages: Array<{ role: string, content: string }> }> =>
    sim.requests().filter(({ rawBody }) => rawBody.includes(recording))
      .map(({ json }) => JSON.parse((json as Prompt).messages[1]!.content) as { messages: [] })
  const said = (role: string) => recordings().at(-1)!.messages.filter((message) => message.role === role).map(({ content }) => content).join()
  const record = (text: string) => sim.script([{ match: { textIncludes: recording }, ...says(text) }])
  const lastPrompt = (): Prompt['messages'] =>
    (sim.requests().findLast(({ rawBody }) => !rawBody.includes(recording))!.json as Prompt).messages

  t.test('what the prompt leaves out is in its summary, without a gap', async (t) => {
    const { say, summary, get } = await converse(started, summed)
    for (const nth of [1, 2, 3, 4]) record(`record ${nth}`)
    for (let turn = 1; turn <= 8; turn++) {
      await say(`This is turn ${turn}.`)
      const prompt = lastPrompt()
      const asked = prompt.filter(({ role }) => role === 'user').map(({ content }) => content)
      t.strictSame(asked, [turn - 2, turn - 1, turn].filter((number) => number > 0).map((number) => `This is turn ${number}.`))
      if (turn < 3) {
        t.notMatch(prompt[0]!.content, 'record')
      } else {
        const [, shown] = /not instructions\):\nrecord (\d)$/.exec(prompt[0]!.content) ?? []
        const last = recordings()[Number(shown) - 1]!.messages.findLast(({ role }) => role === 'user')!.content
        t.ok(Number(/\d/.exec(last)) >= turn - 3, `record ${shown}, up to "${last}", is shown in turn ${turn}`)
      }
    }
    t.strictSame(recordings().map(({ summary, messages }) => [summary, messages.length]), [
      [undefined, 4], ['record 1', 4], ['record 2', 4], ['record 3', 4]
    ], 'each is made of the one before it and what was said since')
    t.match((await summary()).body, {
      text: 'record 4', throughSeq: 16, messageCount: 16, source: 'model', model: 'mistral-small-latest', usage: { totalTokens: Number }
    })
    const { upkeep } = await get()
    t.ok(upkeep!.totalTokens > 3 * (await summary()).body.usage!.totalTokens, 'all of them are counted')
    t.match(upkeep, { costUsd: Number })
  })

  t.test('where summaries are switched off, none is made and none is used', async (t) => {
    const { say, summarise, summary } = await converse(started, { ...summed, summaries: false })
    for (const message of ['one', 'two', 'three']) await say(message)
    t.equal(recordings().length, 0)
    t.equal((await summary()).status, 404)
    record('record')
    t.equal((await summarise()).status, 200, 'it can be asked for')
    await say('four')
    t.notMatch(lastPrompt()[0]!.content, 'record')
  })

  t.test('a summary is made when it is asked for, of what was said since the last one', async (t) => {
    const { path, say, summarise, summary, get } = await converse(started, { summaries: true, historyLimit: 100 })
    t.equal((await summary()).status, 404)
    const nothing = await client.ask<Problem>(`${path}/summary`, { method: 'POST' })
    t.equal(nothing.status, 409)
    t.equal(nothing.body.code, 'conflict')
    await say('one')
    record(' record 1 \0')
    const first = await summarise()
    t.match(first, { status: 200, body: { text: 'record 1', throughSeq: 2, messageCount: 2, source: 'model' } })
    t.strictSame((await summary()).body, first.body)
    t.strictSame((await summarise()).body, first.body, 'nothing was said since')
    t.equal(recordings().length, 1)
    await say('two')
    t.notMatch(lastPrompt()[0]!.content, 'record', 'the prompt holds all of it anyway')
    record('record 2')
    t.match((await summarise()).body, { text: 'record 2', throughSeq: 4, messageCount: 4 })
    t.match(recordings()[1], { summary: 'record 1', messages: [{ role: 'user', content: 'two' }, { role: 'bot' }] })
    t.match(await get(), { upkeep: { totalTokens: Number } })
  })

  t.test('a long message is cut, and of many the newest are taken', async (t) => {
    const { say, summarise } = await converse(started, { historyLimit: 100, model: { maxTokens: 10 } })
    for (let n = 1; n <= 25; n++) await say(`number ${n} ${'word '.repeat(990)}`)
    await summarise()
    const { messages } = recordings()[0]!
    t.ok(messages.length > 10 && messages.length < 45, `${messages.length} messages`)
    t.ok(messages.every(({ content }) => content.length <= 4000))
    t.match(messages.at(-2)!.content, /^number 25 /)
  })

  t.test('a window that is too small for the history has a summary made and used, too', async (t) => {
    const small = await startAppWithSim(t, {}, { MISTRAL_MODEL: 'voxtral-small-2507' })
    const { say } = await converse(small, { summaries: true, historyLimit: 100, model: { maxTokens: 10 } })
    small.sim.script([{ match: { textIncludes: recording }, times: 'always', ...says('the record') }])
    const prompts: boolean[] = []
    for (let n = 1; n <= 8; n++) {
      await say(`number ${n} ${'語'.repeat(4000)}`)
      prompts.push(small.sim.requests().findLast(({ rawBody }) => !rawBody.includes(recording))!.rawBody.includes('the record'))
    }
    t.strictSame([prompts[0], prompts.at(-1)], [false, true])
  })

  t.test('a failed model is told to who asks, and costs who does not nothing', async (t) => {
    sim.script([{ match: { textIncludes: recording }, times: 'always', fault: { status: { code: 401 } } }])
    const { path, say, summary } = await converse(started, summed)
    for (const message of ['one', 'two', 'three']) t.ok((await say(message)).reply)
    const asked = await client.ask<Problem>(`${path}/summary`, { method: 'POST' })
    t.equal(asked.status, 502)
    t.equal(asked.body.code, 'upstream_rejected')
    t.equal((await summary()).status, 404)
    sim.reset()
    record('\0 \n')
    t.equal((await client.ask<Problem>(`${path}/summary`, { method: 'POST' })).body.code, 'upstream_failed', 'a blank one is none')
  })

  t.test('a summary is used only on the branch that it is about', async (t) => {
    const { path, say, edit, summary, summarise } = await converse(started, { ...summed, historyLimit: 2 })
    const exchanges: Exchange[] = []
    record('of one')
    exchanges.push(await say('one'))
    record('of two')
    exchanges.push(await say('two'))
    t.equal((await summary()).body.text, 'of two')
    record('of the edit')
    await edit(exchanges[1]!.userMessage.id, 'two, but different')
    t.notMatch(lastPrompt()[0]!.content, 'of two', 'it has what is not on this branch')
    t.match((await summary()).body, { text: 'of the edit', messageCount: 4 })
    t.equal(recordings().at(-1)!.summary, undefined, 'and so is made anew')
    t.strictSame(recordings().at(-1)!.messages.filter(({ role }) => role === 'user').map(({ content }) => content), ['one', 'two, but different'])
    const back = await client.ask(path, { method: 'PATCH', body: { branchId: path.split('/').at(-1) } })
    t.equal(back.status, 200)
    t.equal((await summary()).status, 404)
    record('of two again')
    t.match((await summarise()).body, { text: 'of two again', throughSeq: 4 })
    record('of three')
    const three = await say('three')
    t.match(lastPrompt()[0]!.content, 'of two again')
    // The summary goes up to the bot's third message, and this branch hangs on the second one.
    await edit(three.userMessage.id, 'three, but different')
    t.notMatch(lastPrompt()[0]!.content, 'of three')
  })

  t.test('a summary of what two branches share is used on both', async (t) => {
    const { say, edit, summarise } = await converse(started, { ...summed, historyLimit: 2, summaries: true })
    sim.script([{ match: { textIncludes: recording }, times: 3, ...says('shared') }])
    await say('one')
    const { userMessage } = await say('two')
    await summarise()
    app.store.upkeep.keepSummary = async () => false
    const last = await say('three')
    await edit(last.userMessage.id, 'three, but different')
    t.match(lastPrompt()[0]!.content, 'shared')
    await edit(userMessage.id, 'anew')
    t.notMatch(lastPrompt()[0]!.content, 'shared')
    Reflect.deleteProperty(app.store.upkeep, 'keepSummary')
  })

  t.test('a summary goes with a message that it covers, and with a cleared history', async (t) => {
    const { say, summarise, summary, erase, clear } = await converse(started, {})
    const first = await say('My secret is 4711.')
    await summarise()
    const later = await say('Another thing.')
    await erase(later.userMessage.id)
    t.equal((await summary()).status, 200, 'it does not cover this one')
    await erase(first.userMessage.id)
    t.equal((await summary()).status, 404)
    const { text } = (await summarise()).body
    t.ok(text)
    t.notMatch(said('user'), '4711')
    t.match(said('bot'), '4711', 'the reply quotes it, and is still there')
    await clear()
    t.equal((await summary()).status, 404)
    t.equal((await summarise()).status, 409)
  })

  t.test('a text that is taken away while a summary is made of it is in none', async (t) => {
    for (const takeAway of ['erase', 'clear'] as const) {
      const conversation = await converse(started, {})
      const { userMessage } = await conversation.say('My secret is 4711.')
      await conversation.say('Another thing.')
      before(app, 'keepSummary', async () => { await conversation[takeAway](userMessage.id) })
      const made = await conversation.summarise()
      if (takeAway === 'erase') t.notMatch(said('user'), '4711')
      t.equal(made.status, takeAway === 'erase' ? 200 : 409)
      t.equal((await conversation.summary()).status, takeAway === 'erase' ? 200 : 404)
      sim.reset()
    }
  })

  t.test('of two summaries that are made at once, the first one counts', async (t) => {
    const { say, summarise, summary } = await converse(started, {})
    await say('one')
    before(app, 'keepSummary', async () => {
      record('the first')
      t.equal((await summarise()).body.text, 'the first')
    })
    t.equal((await summarise()).body.text, 'the first')
    t.equal((await summary()).body.text, 'the first')
    t.equal(recordings().length, 2)
  })

  t.test('who finds the session changed each time is told so', async (t) => {
    const { path, say } = await converse(started, {})
    await say('one')
    app.store.upkeep.keepSummary = async () => false
    t.match((await client.ask<Problem>(`${path}/summary`, { method: 'POST' })).body, { code: 'conflict', detail: /too many/ })
    Reflect.deleteProperty(app.store.upkeep, 'keepSummary')
  })

  t.test('other tenants and users find nothing, and readers make none', async (t) => {
    const { path, say, summarise } = await converse(started, {})
    await say('one')
    await summarise()
    const stranger = await clientFor('other', 'sessions:read', 'sessions:write')
    const reader = await clientFor('default', 'sessions:read')
    for (const method of ['GET', 'POST']) t.equal((await stranger.ask(`${path}/summary`, { method })).status, 404)
    t.equal((await reader.ask(`${path}/summary`)).status, 200)
    t.equal((await reader.ask(`${path}/summary`, { method: 'POST' })).status, 403)
  })
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
  app.store.upkeep.keepTitle = async () => { throw new Error('a fault of ours') }
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
  t.match(body, { source: 'rules', model: null, throughSeq: 4, messageCount: 4, text: /Parcels leave the warehouse within two days\./ })
  t.notOk(body.usage)
  await say('What of parcels abroad?')
  const later = (await summarise()).body
  t.match(later, { throughSeq: 6, messageCount: 6, text: /within two days/ }, 'what was said before is still in it')
  t.ok(later.text.length <= 1000)
})

t.test('a summary by rules has the sentences that say most, in their order, and no more than it may hold', async (t) => {
  const filler = Array.from({ length: 60 }, (_, n) => `Topic${n} is mentioned${n} by somebody${n}.`)
  const text = await summariseByRules(['The parcel is lost.', ...filler, 'The lost parcel has a blue label.\nHm.'], 'en')
  t.match(text, /^The parcel is lost\. .*The lost parcel has a blue label\./)
  t.ok(text.length <= 1000)
  t.equal(await summariseByRules(['', ' \n '], 'en'), '')
  t.match(await summariseByRules(['荷物が届きません。荷物は青いです。'], 'ja'), '荷物')
})

t.test('background work is done a little at a time, once per key, and dropped where there is too much', async (t: Test) => {
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
