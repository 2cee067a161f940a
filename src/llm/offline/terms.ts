import { type Language } from './languages.ts'

const APOSTROPHE = /['’]/
// Accents of Latin, Greek and Cyrillic only: in Indic and Thai writing a mark is a vowel.
const ACCENTS = /[\u0300-\u036f]/g

/** Turns text into the terms it is indexed and searched by: content words, folded and stemmed, in order. */
export function createTermExtractor ({ locale, stopWords, stem }: Language): (text: string) => string[] {
  const segmenter = new Intl.Segmenter(locale, { granularity: 'word' })
  return (text) => {
    const terms: string[] = []
    for (const { segment, isWordLike } of segmenter.segment(text)) {
      if (isWordLike !== true) continue
      const word = segment.normalize('NFKC').toLocaleLowerCase(locale)
      const bare = withoutElision(word)
      if (stopWords.has(word) || stopWords.has(bare)) continue
      terms.push((stem?.(bare) ?? bare).normalize('NFD').replace(ACCENTS, '').normalize('NFC'))
    }
    return terms
  }
}

/** "company's" is about the company and "l'eau" about water: of a word with an apostrophe the longest part counts. */
function withoutElision (word: string): string {
  return word.split(APOSTROPHE).reduce((longest, part) => part.length > longest.length ? part : longest)
}
