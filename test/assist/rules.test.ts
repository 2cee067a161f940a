import { Ajv } from 'ajv'
import fc from 'fast-check'
import t from 'tap'
import { Draft } from '../../schemas/specification.ts'
import { ask, sumUsage } from '../../src/assist/ask.ts'
import { fitDraft } from '../../src/assist/fit-draft.ts'
import { guessLanguage } from '../../src/assist/guess-language.ts'
import { shorten } from '../../src/assist/shorten.ts'
import { summariseByRules } from '../../src/assist/summary-by-rules.ts'
import { toneIn } from '../../src/assist/tone-words.ts'
import { createOfflineProvider } from '../../src/llm/offline/offline-provider.ts'
import { type GenerationEvent } from '../../src/llm/provider.ts'
import { startApp } from '../helper.ts'

interface Specification { id: string, draft: Draft, model?: string, usage?: object }

const fitsDraft = new Ajv({ strict: false }).compile(Draft)

t.test('without a model, a draft is made by rules from what the brief says', async (t) => {
  const { client } = await startApp(t)
  const drafted = async (brief: string, language?: string): Promise<Draft> => {
    const { status, body } = await client.ask<Specification>('/api/specifications', {
      body: { brief, ...(language !== undefined && { language }) }
    })
    t.equal(status, 201)
    t.match(body, { status: 'drafted', source: 'rules' })
    t.notOk(body.model ?? body.usage)
    t.ok(fitsDraft(body.draft), brief.slice(0, 40))
    const made = await client.ask('/api/configs', { body: { ...body.draft, specificationId: body.id } })
    t.equal(made.status, 201, 'it can be used as it is')
    return body.draft
  }

  t.strictSame(await drafted([
    '# Parcel desk',
    '',
    'Answer questions of our customers about parcels and returns. Be polite and concise, never formal.',
    '- Parcels leave within two days.',
    '- Returns are free for 30 days. Parcels abroad take a week.'
  ].join('\n')), {
    name: 'Parcel desk',
    purpose: 'Answer questions of our customers about parcels and returns.',
    domain: ['Parcel', 'returns', 'desk', 'Answer', 'questions'],
    tone: { style: 'polite, concise', language: 'en' },
    instructions: 'Be polite and concise, never formal.\n' +
      '- Parcels leave within two days.\n- Returns are free for 30 days. Parcels abroad take a week.'
  })
  t.match(await drafted('Ein Bot, der unseren Kunden freundlich hilft. Die Rückgabe ist für 30 Tage kostenlos.'), {
    name: 'Ein Bot, der unseren Kunden freundlich hilft.',
    tone: { style: 'friendly', language: 'de' },
    instructions: 'Die Rückgabe ist für 30 Tage kostenlos.'
  })
  t.match(await drafted('We are a bakery. The bot takes orders for cakes.', 'fr'), {
    domain: ['bakery', 'bot', 'takes', 'orders', 'cakes'], tone: { language: 'fr' }
  }, 'a brief in another language than the bot is to speak')
  t.match(await drafted('Help.', 'pt-BR'), {
    name: 'Help.', purpose: 'Help.', instructions: '', tone: { style: 'friendly', language: 'pt-BR' }
  })
  t.match(await drafted('Shipping\nWe ship on Mondays.'), { name: 'Shipping', purpose: 'We ship on Mondays.', instructions: '' })
  t.match(await drafted('## Only a heading'), { name: 'Only a heading', purpose: 'Only a heading', instructions: '' })
  t.match(await drafted('**Bold name**\nIt helps.'), { name: 'Bold name', purpose: 'It helps.' })
  t.match(await drafted('- Help people.\n- Be quick.'), {
    name: 'Help people.', purpose: 'Help people.', instructions: '- Be quick.'
  })
  t.match(await drafted('#\nHelp people.'), { name: '#' })
  t.match(await drafted('- '), { purpose: '-' })
  t.match(await drafted('本店的客服机器人。退货三十天内免费。'), {
    purpose: '本店的客服机器人。', instructions: '退货三十天内免费。', tone: { language: 'zh' }
  })
  const long = await drafted('parcel '.repeat(2800).trim())
  t.match(long, { name: /^(parcel )+parcel…$/, purpose: /^(parcel )+parcel…$/, domain: ['parcel'] })
})

t.test('what two answers took is added up, as far as it is known', (t) => {
  const usage = { promptTokens: 10, completionTokens: 1, totalTokens: 11 }
  const both = { promptTokens: 20, completionTokens: 2, totalTokens: 22 }
  t.strictSame(sumUsage(usage, usage), both)
  t.strictSame(sumUsage({ ...usage, costUsd: 0.5 }, { ...usage, cachedTokens: 4, estimated: true }),
    { ...both, cachedTokens: 4, costUsd: 0.5, estimated: true })
  t.strictSame(sumUsage({ ...usage, costUsd: 0.5, cachedTokens: 4 }, { ...usage, costUsd: 0.25, cachedTokens: 1 }),
    { ...both, cachedTokens: 5, costUsd: 0.75 })
  t.end()
})

t.test('an answer without an end is a fault, not an answer', async (t) => {
  const provider = { ...createOfflineProvider(), generate: () => ReadableStream.from<GenerationEvent>([{ type: 'text', text: 'a' }]) }
  const question = { tenantId: 'acme', subject: 'thing', messages: [], maxTokens: 1 }
  await t.rejects(ask(provider, question, new AbortController().signal), /without its end/)
})

t.test('the language of a text shows in its script or its commonest words', (t) => {
  const texts: Record<string, string> = {
    en: 'We want a bot that helps the customers of our shop with what they need.',
    de: 'Wir wollen einen Bot, der den Kunden in unserem Laden hilft.',
    fr: 'Nous voulons un robot qui aide les clients de notre magasin avec ce dont ils ont besoin.',
    es: 'Queremos un bot que ayude a los clientes de nuestra tienda con lo que necesitan.',
    it: 'Vogliamo un bot che aiuti i clienti del nostro negozio con quello di cui hanno bisogno.',
    nl: 'Wij willen een bot die de klanten van onze winkel helpt met wat ze nodig hebben.',
    ru: 'Мы хотим бота, который помогает клиентам нашего магазина с тем, что им нужно.',
    uk: 'Ми хочемо бота, який допомагає клієнтам нашого магазину з тим, що їм потрібно.',
    ja: '当店のお客様の質問に答えるボットです。',
    zh: '回答我们商店客户问题的机器人。',
    ko: '우리 가게 손님의 질문에 답하는 봇입니다.',
    th: 'บอทที่ช่วยลูกค้าของร้านเรา',
    el: 'Ένα ρομπότ που βοηθά τους πελάτες του καταστήματός μας.',
    ar: 'روبوت يساعد عملاء متجرنا.',
    he: 'בוט שעוזר ללקוחות החנות שלנו.',
    hi: 'एक बॉट जो हमारे ग्राहकों की मदद करता है।'
  }
  for (const [language, text] of Object.entries(texts)) t.equal(guessLanguage(text), language, text)
  t.equal(guessLanguage('xyzzy 123'), 'en')
  t.equal(guessLanguage('!!!'), 'en')
  t.end()
})

t.test('a tone is what a brief says of it, not what it denies', (t) => {
  t.equal(toneIn('It is friendly, and professional.'), 'friendly, professional')
  t.equal(toneIn('Never be too formal. Please do not sound playful.'), '')
  t.equal(toneIn('Sei höflich und knapp, nicht förmlich.'), 'polite, concise')
  t.equal(toneIn('friendly formal informal professional polite'), 'friendly, formal, informal')
  t.equal(toneIn(''), '')
  t.end()
})

t.test('a text is cut after a word, and never inside a character', (t) => {
  t.equal(shorten('one two three', 13), 'one two three')
  t.equal(shorten('one two three', 12), 'one two…')
  t.equal(shorten('one, two', 5), 'one…')
  t.equal(shorten('abcdefgh', 4), 'abc…')
  t.equal(shorten('👩👩👩👩', 4), '👩👩👩👩')
  t.equal(shorten('👩👩👩👩👩', 4).isWellFormed(), true)
  fc.assert(fc.property(fc.string({ unit: 'grapheme', maxLength: 60 }), fc.integer({ min: 1, max: 40 }), (text, max) => {
    const cut = shorten(text, max)
    return [...cut].length <= max && cut.isWellFormed() && (cut === text || cut.endsWith('…'))
  }))
  t.end()
})

t.test('whatever a model writes, what becomes of it fits', (t) => {
  const text = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 300 }), fc.constant('word '.repeat(600)), fc.constant('語'.repeat(2500))
  )
  const anything = fc.oneof({ weight: 4, arbitrary: text }, fc.array(text, { maxLength: 30 }), fc.anything())
  const written = fc.record({
    name: anything,
    purpose: anything,
    domain: anything,
    instructions: anything,
    tone: fc.oneof(anything, fc.record({ style: anything, language: fc.oneof(anything, fc.constant('de')) }))
  }, { requiredKeys: [] })
  t.ok('draft' in fitDraft(JSON.stringify({ purpose: 'a', instructions: '語'.repeat(25_000) }), 'en'))
  let fitting = 0
  fc.assert(fc.property(written, (value) => {
    const fitted = fitDraft(JSON.stringify(value, (_, inner: unknown) => typeof inner === 'bigint' ? 0 : inner), 'en')
    if ('problem' in fitted) return true
    fitting++
    return fitsDraft(fitted.draft) && JSON.stringify(fitted.draft).isWellFormed()
  }), { numRuns: 200 })
  t.ok(fitting > 10, `${fitting} could be repaired`)
  t.end()
})

t.test('a summary by rules has the sentences that say most, in their order, and no more than it may hold', async (t) => {
  const filler = Array.from({ length: 60 }, (_, n) => `Topic${n} is mentioned${n} by somebody${n}.`)
  const text = await summariseByRules(['The parcel is lost.', ...filler, 'The lost parcel has a blue label.\nHm.'], 'en')
  t.match(text, /^The parcel is lost\. .*The lost parcel has a blue label\./)
  t.ok(text.length <= 1000)
  t.equal(await summariseByRules(['', ' \n '], 'en'), '')
  t.match(await summariseByRules(['荷物が届きません。荷物は青いです。'], 'ja'), '荷物')
})
