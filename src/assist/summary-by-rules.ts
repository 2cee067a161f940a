import { loadLanguage, localeOf } from '../llm/offline/languages.ts'
import { createSentenceSplitter } from '../llm/offline/sentences.ts'
import { createTermExtractor } from '../llm/offline/terms.ts'
import { shorten } from './shorten.ts'

const SUMMARY_CHARS = 1000
const SENTENCE_CHARS = 300

const LINE_BREAK = /[\r\n\u2028\u2029]+/u

/**
 * The sentences of some texts that say most of what they are about, in their order: those whose words come up most in
 * all of them, as many as a summary holds.
 */
export async function summariseByRules (texts: readonly string[], tag: string): Promise<string> {
  const locale = localeOf(tag)
  const split = createSentenceSplitter(locale)
  const termsIn = createTermExtractor(await loadLanguage(locale))
  const lines = texts.flatMap((text) => text.split(LINE_BREAK))
  const said = new Set(lines.flatMap((line) => split(line.trim())).map((sentence) => sentence.trim()))
  const sentences = [...said].filter((sentence) => sentence !== '').map((sentence, position) =>
    ({ text: shorten(sentence, SENTENCE_CHARS), position, terms: new Set(termsIn(sentence)) }))
  const counts = new Map<string, number>()
  for (const term of sentences.flatMap(({ terms }) => [...terms])) counts.set(term, (counts.get(term) ?? 0) + 1)
  // The logarithm keeps a phrase that is always said from being all there is; the root keeps long sentences from
  // winning by their length alone.
  const score = (terms: ReadonlySet<string>): number =>
    [...terms].reduce((sum, term) => sum + Math.log2(1 + counts.get(term)!), 0) / Math.sqrt(terms.size + 1)
  const scored = sentences.map((sentence) => ({ ...sentence, score: score(sentence.terms) }))
  const ranked = scored.sort((a, b) => b.score - a.score)
  let room = SUMMARY_CHARS
  const chosen = ranked.filter(({ text }) => {
    if (text.length >= room) return false
    room -= text.length + 1
    return true
  })
  return chosen.sort((a, b) => a.position - b.position).map(({ text }) => text).join(' ')
}
