import MiniSearch from 'minisearch'
import { type Language } from './languages.ts'
import { type Passage, splitPassages } from './passages.ts'
import { createTermExtractor } from './terms.ts'

const MAX_SENTENCES = 3

// The three numbers below are by the quality benchmark: chosen on two of its five titles they answer 96 to 99 % of the
// other three. Each stands within a range in which the figures hardly move.

// What a heading or the sentence before says counts for a sentence too ("It weighs 3 kg." does not name its
// subject), but less than its own words.
const CONTEXT_BOOST = 0.3
// A further sentence is quoted if it scores at least this share of the best one.
const NEAR_THE_BEST = 0.35
// Of the content words of a question the best sentence must share at least this part: one word of many is a coincidence.
const MIN_COVERAGE = 0.2

// Where there is no stemmer: minisearch's own suggestion (README) for endings and slips of the pen. Three letters and
// fewer begin too many words.
const TOLERANT = { prefix: (term: string) => term.length > 3, fuzzy: 0.2 }

/** Finds the answer to a question in one text; `undefined`: the text has none. */
export interface Answerer {
  answer (question: string): string | undefined
  /** False: the question has no content word, so that it can only be understood from what was said before. */
  standsAlone (question: string): boolean
}

/** Indexes a text (about 20,000 characters at most) for questions about it. */
export function createAnswerer (text: string, language: Language): Answerer {
  const passages = splitPassages(text, language.locale)
  const terms = createTermExtractor(language)
  const index = new MiniSearch<Passage & { id: number }>({
    fields: ['text', 'context'],
    tokenize: terms,
    processTerm: (term) => term,
    searchOptions: { boost: { context: CONTEXT_BOOST }, ...(language.stem === undefined ? TOLERANT : {}) }
  })
  index.addAll(passages.map((passage, id) => ({ id, ...passage })))

  return {
    standsAlone: (question) => terms(question).length > 0,
    answer (question) {
      const wanted = new Set(terms(question)).size
      const hits = index.search(question).map(({ id, score, queryTerms }) => ({
        position: Number(id),
        matched: queryTerms.length,
        // minisearch multiplies BM25 by the number of matched words; sentences are to be compared by BM25 itself.
        score: score / queryTerms.length
      }))
      if (!hits.some(({ matched }) => matched >= MIN_COVERAGE * wanted)) return undefined
      return best(hits).map((position) => passages[position]?.text).join('').trim()
    }
  }
}

/** The positions of the best hits, in the order of the text. */
function best (hits: ReadonlyArray<{ position: number, score: number }>): number[] {
  const ranked = hits.toSorted((a, b) => b.score - a.score || a.position - b.position)
  const enough = NEAR_THE_BEST * (ranked[0]?.score ?? 0)
  return ranked.slice(0, MAX_SENTENCES).filter(({ score }) => score >= enough)
    .map(({ position }) => position).sort((a, b) => a - b)
}
