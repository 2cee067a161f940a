import t from 'tap'
import { startAppWithSim } from '../sim.ts'
import { before, keepingOf, converse, recording, says, summed, type Exchange, type Problem, type Prompt } from './conversation.ts'

t.test('summaries', async (t) => {
  const started = await startAppWithSim(t)
  const { app, client, sim, clientFor } = started
  t.afterEach(() => sim.reset())
  const recordings = (): Array<{ summary?: string, messages: Array<{ role: string, content: string }> }> =>
    sim.requests().filter(({ rawBody }) => rawBody.includes(recording))
      .map(({ json }) => JSON.parse((json as Prompt).messages[1]!.content) as { messages: [] })
  const allSaid = (role: string) =>
    recordings().at(-1)!.messages.filter((message) => message.role === role).map(({ content }) => content)
  const said = (role: string) => allSaid(role).join()
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
      text: 'record 4',
      throughSeq: 16,
      messageCount: 16,
      source: 'model',
      model: 'mistral-small-latest',
      usage: { totalTokens: Number }
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
    const blank = await client.ask<Problem>(`${path}/summary`, { method: 'POST' })
    t.equal(blank.body.code, 'upstream_failed', 'a blank one is none')
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
    t.strictSame(allSaid('user'), ['one', 'two, but different'])
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
      before(keepingOf(app).summary, async () => { await conversation[takeAway](userMessage.id) })
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
    before(keepingOf(app).summary, async () => {
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
