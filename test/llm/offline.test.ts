import { existsSync } from 'node:fs'
import fc from 'fast-check'
import t from 'tap'
import { runQuality } from '../../bench/quality.ts'
import { createOfflineProvider } from '../../src/llm/offline/offline-provider.ts'
import { type GenerationEvent, type PromptMessage } from '../../src/llm/provider.ts'

const provider = createOfflineProvider()
t.teardown(() => provider.close())

const caller = { tenantId: 'acme', sessionId: 'session' }
const SHOP = 'You are the assistant of Acme, a shop for bicycles. Acme ships every order within three days. ' +
  'The warehouse stands in Rotterdam. Dr. Smith of the U.S. Army founded the shop in 1987. It employs 42 people.'

async function events (instructions: string, messages: readonly PromptMessage[], language = 'en', stream = false) {
  const all: GenerationEvent[] = []
  const request = { ...caller, messages, model: {}, instructions, language }
  for await (const event of provider.generate(request, { stream, signal: new AbortController().signal })) all.push(event)
  return all
}

async function ask (instructions: string, question: string, language = 'en'): Promise<string> {
  return textOf(await events(instructions, [{ role: 'user', content: question }], language))
}

function textOf (all: readonly GenerationEvent[]): string {
  return all.map((event) => event.type === 'text' ? event.text : '').join('')
}

const DONT_KNOW = "I'm sorry, I don't know the answer to that."

t.test('a reply quotes the sentences that answer, across inflections', async (t) => {
  t.match(await ask(SHOP, 'When will my order be shipped?'), 'Acme ships every order within three days.')
  t.match(await ask(SHOP, 'Who founded it?'), 'Dr. Smith of the U.S. Army founded the shop in 1987.')
  t.equal(await ask(SHOP, 'Where is the warehouse?'), 'The warehouse stands in Rotterdam.')
  t.match(await ask('Il ristorante è chiuso di lunedì.\nI cani sono ammessi.', 'Quali ristoranti chiudono?', 'it'),
    'Il ristorante è chiuso di lunedì.')
  t.equal(await ask('Wir liefern nach Österreich. Der Laden liegt in Bonn.', 'Lieferung nach Osterreich?', 'de'),
    'Wir liefern nach Österreich.')
  t.equal(await ask('Sklep wysyła paczki w piątki. Mamy kota.', 'Kiedy dostanę paczkę?', 'pl'),
    'Sklep wysyła paczki w piątki.', 'a language without a stemmer tolerates endings')
  t.equal(await ask('当店は月曜日に休みます。駐車場は二台分あります。', '駐車場はありますか', 'ja'), '駐車場は二台分あります。')
})

t.test('a reply keeps the order of the text, has at most three sentences and none that is far from the best', async (t) => {
  const facts = Array.from({ length: 8 }, (_, i) => `Fact ${i} is about penguins.`).join(' ')
  const reply = await ask(`Cats sleep a lot. ${facts}`, 'Which facts about penguins?')
  t.equal(reply, 'Fact 1 is about penguins. Fact 2 is about penguins. Fact 3 is about penguins.')
  t.equal(await ask('The old bridge is red. Cats sleep. The tower on the north bank is old.', 'How old is the north tower?'),
    'The tower on the north bank is old.')
})

t.test('a sentence that does not name its subject is found by the sentence before it', async (t) => {
  const reply = await ask('The barn has two floors. The mill has three floors. The inn has four floors. ' +
    'The lighthouse is white. It has six floors.', 'How many floors has the lighthouse?')
  t.match(reply, 'It has six floors.')
})

t.test('what has no connection to the instructions gets "I don\'t know" in the language of the chatbot', async (t) => {
  for (const question of ['Hello', 'Thank you!', 'What is it?', 'Who won the cup in Paris?', '???', '', '🙂', '\u0301']) {
    t.equal(await ask(SHOP, question), DONT_KNOW, question)
  }
  t.equal(await ask('', 'Where is the warehouse?'), DONT_KNOW, 'empty instructions')
  t.equal(await ask(SHOP, 'One order that mentions zebras, quartz, violins, glaciers, sonnets and volcanoes?'), DONT_KNOW,
    'one word of many is a coincidence')
  t.equal(textOf(await events(SHOP, [{ role: 'system', content: SHOP }])), DONT_KNOW, 'no question at all')
  for (const [tag, sentence] of Object.entries({
    de: 'Das weiß ich leider nicht.',
    'pt-BR': 'Lamento, mas não sei a resposta a essa pergunta.',
    'zh-CN': '抱歉，我不知道这个问题的答案。',
    'zh-TW': '抱歉，我不知道這個問題的答案。',
    no: 'Beklager, det vet jeg ikke.',
    tlh: DONT_KNOW,
    'not a tag': DONT_KNOW
  })) t.equal(await ask(SHOP, 'zzyzx', tag), sentence, tag)
})

t.test('a question without words of its own asks about the one before', async (t) => {
  const before: PromptMessage[] = [
    { role: 'user', content: 'Tell me of the warehouse' },
    { role: 'assistant', content: 'The warehouse stands in Rotterdam.' }
  ]
  t.equal(textOf(await events(SHOP, [...before, { role: 'user', content: 'And where?' }])),
    'The warehouse stands in Rotterdam.')
  t.equal(textOf(await events(SHOP, [...before, { role: 'user', content: 'Thank you!' }])), DONT_KNOW)
})

t.test('headings, lead-ins and questions lead to what stands under them', async (t) => {
  const handbook = '# Handbook\n\nWe sell tea.\n\n## Opening hours\n- Monday to Friday 9 to 17\n- Saturday 10 to 14\n\n' +
    '## Delivery\nDo you deliver abroad?\nYes, to all countries of the EU.\n***\nOur returns address is:\n1. Dock Road 5, Hull'
  t.equal(await ask(handbook, 'What are the opening hours?'), 'Monday to Friday 9 to 17\nSaturday 10 to 14')
  t.equal(await ask(handbook, 'Do you deliver abroad?'), 'Yes, to all countries of the EU.')
  t.equal(await ask(handbook, 'returns address'), 'Dock Road 5, Hull')
  t.equal(await ask('# Bicycles for rent\nWhat else?', 'Do you rent bicycles?'), 'Bicycles for rent', 'nothing else to say')
})

t.test('abbreviations, initials and numbers end no sentence', async (t) => {
  for (const [sentence, question, language] of [
    ['The U.S. Army bought Fig. 3 for Dr. Smith.', 'army'],
    ['J. R. R. Tolkien taught at Oxford.', 'Oxford'],
    ['Bring fruit, e.g. Apples, to St. Ives.', 'fruit'],
    ['See No. 5 on p. 12 of the catalogue.', 'catalogue'],
    ['Am 3. Mai öffnet z. B. Halle sieben.', 'Halle', 'de']
  ] as const) t.equal(await ask(`Cats sleep. ${sentence} Dogs bark.`, question, language), sentence)
  t.equal(await ask('I said no. 5 cats came. Dogs bark.', 'cats'), 'I said no. 5 cats came.', 'at the price of a longer quote')
  t.equal(await ask('We have 12. Dogs bark.', 'dogs'), 'Dogs bark.')
})

t.test('streaming gives the same text in words, not streaming in one piece; both end with usage', async (t) => {
  const messages: PromptMessage[] = [{ role: 'system', content: 'Be brief.' }, { role: 'user', content: 'warehouse?' }]
  const streamed = await events(SHOP, messages, 'en', true)
  const whole = await events(SHOP, messages)
  t.same(streamed.slice(0, -1).map((event) => event.type === 'text' && event.text),
    ['The ', 'warehouse ', 'stands ', 'in ', 'Rotterdam.'])
  t.equal(whole.length, 2)
  t.equal(textOf(whole), textOf(streamed))
  t.same(whole.at(-1), {
    type: 'end',
    finishReason: 'stop',
    model: 'offline-extractive',
    // 9 and 10 bytes are three tokens each, and four for each message; 34 bytes are nine.
    usage: { promptTokens: 14, completionTokens: 9, totalTokens: 23, estimated: true }
  })
  t.same(streamed.at(-1), whole.at(-1))
  const leading = await events('“Quoted” words come first.', [{ role: 'user', content: 'quoted' }], 'en', true)
  t.equal(textOf(leading), '“Quoted” words come first.')
})

t.test('an aborted signal ends the reply with its reason', async (t) => {
  const controller = new AbortController()
  const request = { ...caller, messages: [{ role: 'user' as const, content: 'warehouse' }], model: {}, instructions: SHOP, language: 'en' }
  const reason = new Error('stopped by the user')
  let count = 0
  await t.rejects(async () => {
    for await (const event of provider.generate(request, { stream: true, signal: controller.signal })) {
      count += event.type === 'text' ? 1 : 0
      if (count === 2) controller.abort(reason)
    }
  }, reason)
  t.equal(count, 2)
  const aborted = provider.generate(request, { stream: false, signal: controller.signal })
  await t.rejects(async () => await aborted[Symbol.asyncIterator]().next(), reason)
})

t.test('no text is too long or too strange', async (t) => {
  t.equal((await ask('word '.repeat(4000), 'word?')).length <= 3000, true, 'text without full stops is cut')
  t.equal((await ask('x'.repeat(20_000), 'x'.repeat(1000))).length <= 3000, true)
  t.match(await ask(`${'Filler text here. '.repeat(1100)}The code is 4711.`, 'Which code?'), 'The code is 4711.')
  const languages = ['ar', 'bg', 'da', 'de', 'el', 'en', 'es', 'fi', 'fr', 'ga', 'hi', 'hu', 'hy', 'id', 'it', 'lt', 'nb', 'ne',
    'nl', 'pt', 'ro', 'ru', 'sr', 'sv', 'ta', 'tr', 'uk', 'ja', 'th', 'cs']
  for (const language of languages) {
    await fc.assert(fc.asyncProperty(fc.string({ unit: 'binary', maxLength: 60 }), fc.string({ unit: 'grapheme' }),
      async (instructions, question) => await ask(instructions, `${question} ${instructions}`, language) !== ''),
    { numRuns: 15 })
  }
})

const DATA = new URL('../../../shared/data/knowledge-qa.json', import.meta.url)
const skip = existsSync(DATA) ? false : 'no ../shared/data/knowledge-qa.json beside the checkout'
t.test('of questions about Wikipedia paragraphs at least 88 % are answered', { skip }, async (t) => {
  t.equal(await runQuality(), true)
  t.equal(await runQuality(async () => 'no idea'), false, 'the benchmark can fail')
})

t.test('the quality benchmark without its data measures nothing and is no failure', async (t) => {
  t.equal(await runQuality(async () => { throw new Error('nothing to ask') }, new URL('absent.json', import.meta.url)), true)
})
