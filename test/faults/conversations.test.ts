import fc from 'fast-check'
import t from 'tap'
import { type Message as MessageView } from '../../schemas/message.ts'
import { ConversationModel, type Said, type Told } from '../conversation-model.ts'
import { type Client, type SentEvent, storeUri } from '../helper.ts'
import { checkLedger } from '../ledger.ts'
import { promptOf, startAppWithSim, type TestAppWithSim } from '../sim.ts'

t.setTimeout(300_000)

const SEQUENCES = 200
const HISTORY_LIMIT = 5

interface Exchange extends Record<string, unknown> { userMessage: MessageView, botMessage: MessageView }

/** What is done; `at` picks a message or a branch among those there are. */
const step = fc.record({
  kind: fc.constantFrom('send', 'send', 'edit', 'regenerate', 'stop', 'fail', 'delete', 'switch', 'clear'),
  at: fc.nat()
})
type Step = typeof step extends fc.Arbitrary<infer S> ? S : never

const view = ({ id, seq, content, status, role, parent }: Said) => ({ id, seq, content, status, role, parentId: parent?.id ?? null })
const viewed = ({ id, seq, content, status, role, parentId }: MessageView) => ({ id, seq, content, status, role, parentId })

/** One session and its model, and everything that can be done to both. */
class Run {
  readonly model: ConversationModel
  readonly live = new FeedReader()
  readonly #app: TestAppWithSim
  readonly #client: Client
  readonly #session: string
  readonly #path: string
  #texts = 0

  constructor (app: TestAppWithSim, session: string) {
    this.model = new ConversationModel(session, HISTORY_LIMIT)
    this.#app = app
    this.#client = app.client
    this.#session = session
    this.#path = `/api/sessions/${session}/messages`
  }

  async do ({ kind, at }: Step): Promise<void> {
    const { model } = this
    const pick = <T> (all: T[]): T | undefined => all[at % all.length]
    const text = () => `text ${++this.#texts}`
    const editable = model.messages.filter(({ role, status }) => role === 'user' && status !== 'deleted')
    if (kind === 'send') {
      await this.#turn(await this.#client.ask<Exchange>(this.#path, { body: { message: text() } }), model.tip())
    } else if (kind === 'edit') {
      const edited = pick(editable)
      if (edited) await this.#turn(await this.#client.ask<Exchange>(`${this.#path}/${edited.id}`, { method: 'PUT', body: { message: text() } }), edited.parent)
    } else if (kind === 'regenerate') {
      const answered = pick(editable)
      if (answered) await this.#turn(await this.#client.ask<Exchange>(`${this.#path}/${answered.id}/regenerate`, { method: 'POST' }), answered)
    } else if (kind === 'fail') {
      this.#app.sim.script([{ fault: { status: { code: 400 } } }])
      await this.#turn(await this.#client.ask<Exchange>(this.#path, { body: { message: text() } }), model.tip())
    } else if (kind === 'stop') {
      await this.#stop(text())
    } else if (kind === 'delete') {
      const message = pick(model.messages)
      if (!message) return
      await this.#client.ask(`${this.#path}/${message.id}`, { method: 'DELETE' })
      model.erase(message)
    } else if (kind === 'switch') {
      const branchId = pick([...model.tips.keys()])!
      await this.#client.ask(`/api/sessions/${this.#session}`, { method: 'PATCH', body: { branchId } })
      model.switchTo(branchId)
    } else {
      // What is cleared before it was told will not be told any more.
      await this.live.upTo(model.told.length)
      await this.#client.ask(this.#path, { method: 'DELETE' })
      model.clear()
    }
  }

  /** What was said in a turn that has ended, behind `parent`. */
  async #turn ({ body: { userMessage, botMessage } }: { body: Exchange }, parent: Said | null): Promise<void> {
    const isAnswered = parent?.id === userMessage.id
    const said = isAnswered ? parent : this.model.say({ ...userMessage, role: 'user' }, parent, userMessage.branchId)
    const prompt = promptOf(this.#app.sim, this.#app.sim.requests().length - 1).slice(1).map(({ content }) => content)
    same(prompt, this.model.promptFor(said), 'the prompt')
    this.model.tellTurn(said, this.model.say({ ...botMessage, role: 'bot' }, said, botMessage.branchId))
  }

  async #stop (message: string): Promise<void> {
    this.#app.sim.script([{ fault: { hangAfter: { chunks: 1 } } }])
    const parent = this.model.tip()
    const { body } = await this.#client.ask<Exchange>(this.#path, { body: { message }, headers: { prefer: 'respond-async' } })
    while (this.#app.sim.requests().length === 0) await this.#client.ask(this.#path)
    const stopped = await this.#client.ask(`${this.#path}/${body.botMessage.id}/stop`, { method: 'POST' })
    await this.#turn({ body: { ...body, botMessage: stopped.body as unknown as MessageView } }, parent)
  }

  /** What a reader finds must be what the model says, on every branch. */
  async check (): Promise<void> {
    const { model } = this
    const read = async (query: string) => (await this.#client.ask<{ data: MessageView[] }>(`${this.#path}?limit=200${query}`)).body.data.map(viewed)
    same(await read(''), model.way(model.tip()).map(view), 'the history')
    const branches = await this.#client.ask<{ data: Array<{ id: string, active: boolean }> }>(`/api/sessions/${this.#session}/branches`)
    same(branches.body.data.map(({ id }) => id), [...model.tips.keys()], 'the branches')
    same(branches.body.data.filter(({ active }) => active).map(({ id }) => id), [model.active], 'the active branch')
    for (const [branch, tip] of model.tips) same(await read(`&branch=${branch}`), model.way(tip).map(view), 'a branch')
    for (const message of model.messages) {
      const variants = await this.#client.ask<{ data: MessageView[] }>(`${this.#path}/${message.id}/variants`)
      const expected = model.messages.filter(({ role, parent }) => role === message.role && parent === message.parent)
      same(variants.body.data.map(viewed), expected.map(view), 'the variants')
    }
  }
}

/** Reads the feed of a session, from the beginning on. */
class FeedReader {
  readonly told: Told[] = []
  readonly #leaving = new AbortController()
  #arrived = Promise.withResolvers<void>()

  async open (client: Client, session: string): Promise<void> {
    const path = `/api/sessions/${session}/events?cursor=${session}:0:0:end`
    const { events } = await client.events(path, { signal: this.#leaving.signal })
    void this.#read(events).catch(() => {})
  }

  /** Waits until so much was told. */
  async upTo (count: number): Promise<void> {
    while (this.told.length < count) await this.#arrived.promise
  }

  leave (): void {
    this.#leaving.abort()
  }

  async #read (events: AsyncIterable<SentEvent>): Promise<void> {
    for await (const { event, data } of events) {
      if (event === 'message.delta') continue
      this.told.push([event, ...aboutOf(data)])
      this.#arrived.resolve()
      this.#arrived = Promise.withResolvers()
    }
  }
}

/** What a reader is told who comes only now. */
async function feedOf (client: Client, session: string, count: number): Promise<Told[]> {
  const reader = new FeedReader()
  await reader.open(client, session)
  await reader.upTo(count)
  reader.leave()
  return reader.told
}

function aboutOf ({ userMessage, botMessage, messageId, branchId, throughSeq }: Record<string, unknown>): unknown[] {
  const ids = [userMessage, botMessage].filter((message) => message !== undefined).map((message) => (message as MessageView).id)
  return ids.length > 0 ? ids : [messageId ?? throughSeq ?? branchId]
}

/** Compares, and says what differs: what is thrown makes the sequence that led to it smaller. */
function same (actual: unknown, expected: unknown, what: string): void {
  const [found, wanted] = [JSON.stringify(actual), JSON.stringify(expected)]
  if (found !== wanted) throw new Error(`${what}: ${found}, not ${wanted}`)
}

t.test(`${SEQUENCES} random conversations are what they are in the model`, async (t) => {
  const app = await startAppWithSim(t)
  const config = await app.client.createConfig({ historyLimit: HISTORY_LIMIT })
  let steps = 0
  await fc.assert(fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 14 }), async (sequence) => {
    app.sim.reset()
    const session = await app.client.createSession(config)
    const run = new Run(app, session)
    await run.live.open(app.client, session)
    for (const next of sequence) {
      app.sim.reset()
      await run.do(next)
      steps++
    }
    await run.check()
    // The last thing there is to tell: whatever is told too much comes before it.
    run.model.told.push(['session.updated', undefined])
    await app.client.ask(`/api/sessions/${session}`, { method: 'PATCH', body: { title: 'The end' } })
    await run.live.upTo(run.model.told.length)
    run.live.leave()
    same(run.live.told, run.model.told, 'the feed')
    const later = run.model.toldLater()
    same(await feedOf(app.client, session, later.length), later, 'the feed, read later')
    same(await checkLedger(await storeUri(), app.db.databaseName), [], 'the ledger')
    // The ledger reads all there is.
    await Promise.all(['sessions', 'messages', 'changes'].map(async (name) => await app.db.collection(name).deleteMany({})))
  }), { numRuns: SEQUENCES })
  t.pass(`${steps} steps`)
})
