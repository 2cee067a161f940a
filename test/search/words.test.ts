import t from 'tap'
import { decodeBlock, encodeBlock, findTerm, PostingsBuffer, type Postings } from '../../src/search/postings.ts'
import { snippetOf } from '../../src/search/snippets.ts'
import { eachWord } from '../../src/search/words.ts'

function termsOf (text: string): string[] {
  const terms: string[] = []
  eachWord(text.normalize('NFC'), (found) => terms.push(...found))
  return terms
}

t.test('the forms of a word are one term', async (t) => {
  const forms = [
    'order orders ordered ordering', 'refund refunds refunded refunding', 'delivery deliveries', 'deliver delivered delivering',
    'run running runs', 'cancel cancelled cancelling', 'policy policies', 'box boxes', 'city cities', 'price prices priced',
    'ship shipping shipped', 'church churches', 'class classes', 'bus buses', 'Rechnung Rechnungen', 'Haus Häuser', 'Kunde Kunden',
    'Straße STRASSE Straßen', 'kaputt kaputte kaputtes', 'commande commandes', 'livré livrée livrées', 'factura facturas',
    'devolución devoluciones', 'ciudad ciudades', 'ordine ordini', 'fattura fatture', 'pedido pedidos', 'beställning beställningar',
    'zamówienie zamówienia', 'faktura faktury fakturę', 'заказ заказы заказа заказов заказом', 'доставка доставки доставку',
    'новый новая новое нового', 'Ёлка ёлки елка', 'оплата оплати оплату', 'παραγγελία παραγγελίες', 'βιβλίο βιβλία ΒΙΒΛΙΟΣ',
    'الكتاب كتاب والكتاب', 'cæsar caesar', 'ＡＢＣ abc', 'ｶﾀｶﾅ カタカナ', 'İstanbul istanbul'
  ]
  for (const words of forms) t.equal(new Set(termsOf(words)).size, 1, words)
})

t.test('different words stay different', async (t) => {
  const words = [
    'international internet', 'universe port', 'organ organization', 'general generation', 'water watt', 'station state', 'sing single',
    'thing thin', 'string strong', 'house hour', 'car care', 'mode mod', 'code cod', 'note not', 'hope hop', 'bed red', 'plan planet', 'sing single'
  ]
  for (const pair of words) t.equal(new Set(termsOf(pair)).size, pair.split(' ').length, pair)
})

t.test('text is taken apart in any writing', async (t) => {
  t.same(termsOf('東京都に住んでいます。'), ['東京', '都', 'に', '住', 'んで', 'い', 'ます'])
  t.same(termsOf('ฉันรักประเทศไทย'), ['ฉัน', 'รัก', 'ประเทศไทย'])
  t.same(termsOf('iPhone手机, 3.5 V'), ['iphon', '手机', '3', '5', 'v'])
  t.same(termsOf('서울에서 서울'), ['서울', '울에', '에서', '서울'], 'Korean two syllables at a time')
  t.same(termsOf('किताब'), ['किताब'], 'a mark that is a vowel stays')
  t.same(termsOf('… — !? 👍'), [])
  t.same(termsOf('garc\u0327on'), termsOf('garçon'), 'marks by themselves or not')
  t.same(termsOf('01'.repeat(10_000)), ['01'.repeat(20)], 'what is too long for a word is known by its beginning')
  t.same(termsOf(Array.from({ length: 25_000 }, (_, i) => `w${i}q`).join(' ')).slice(-1), ['w24999q'])
})

t.test('a block gives back what was written into it', async (t) => {
  const many: Postings = Array.from({ length: 5000 }, (_, i) => [i * 3, i % 7 === 0 ? 1000 : 1]).flat()
  const terms: Array<[string, Postings]> = [['a', [0, 1]], ['ab', [5, 2, 6, 1, 70_000, 3]], ['日本', many], ['\u0001c0', [9, 1]]]
  const block = encodeBlock(terms)
  t.same([...decodeBlock(block)], terms)
  t.same([...decodeBlock(encodeBlock([]))], [])
  t.equal(findTerm(block, 'abc'), undefined)
  t.equal(findTerm(block, ''), undefined)
  const buffer = new PostingsBuffer()
  for (const [term, postings] of terms) {
    const entry = findTerm(block, term)!
    t.equal(entry.messages, postings.length / 2)
    t.same(Array.from({ length: buffer.read(entry) }, (_, i) => [buffer.places[i], buffer.counts[i]]).flat(), postings)
  }
  t.ok(encodeBlock([['x', Array.from({ length: 5000 }, (_, i) => [i, 1]).flat()]]).length < 5010, 'a byte for each of many')
})

t.test('a snippet is where most of the words are, and tells where they stand in it', async (t) => {
  const marked = (content: string, words: string) => {
    const { snippet, highlights } = snippetOf(content, new Set(termsOf(words)))
    return { snippet, words: highlights.map(({ start, end }) => snippet.slice(start, end)) }
  }
  t.same(marked('Short: <b>orders</b> & more', 'order'), { snippet: 'Short: <b>orders</b> & more', words: ['orders'] })
  t.same(marked('nothing here', 'order'), { snippet: 'nothing here', words: [] })
  t.same(marked('Cafe\u0301 au lait', 'café').words, ['Café'], 'in NFC')

  const filler = 'lorem ipsum dolor sit amet '.repeat(40)
  const { snippet, words } = marked(`invoice ${filler} the unpaid invoices of May ${filler}`, 'unpaid invoice may')
  t.same(words, ['unpaid', 'invoices', 'May'])
  t.ok(snippet.length <= 242 && snippet.startsWith('…') && snippet.endsWith('…'), snippet)
  t.match(snippet, /^…[a-z]+ .* [a-z]+…$/, 'cut between words')
  t.same(marked(`${filler}end`, 'end').words, ['end'])
  t.same(marked(`${'字'.repeat(500)}東京${'字'.repeat(500)}`, '東京').words, ['東京'], 'where there is no space')
  const faces = marked(`${'😀'.repeat(301)}x order x${'😀'.repeat(301)}`, 'order')
  t.same(faces.words, ['order'])
  t.ok(faces.snippet.isWellFormed(), 'no character is cut into halves')
  t.ok(marked(`a${'😀'.repeat(301)} order${'😀'.repeat(301)}`, 'order').snippet.isWellFormed())
})
