import { withoutEnding } from './endings.ts'

/** Called with each word: the terms it is indexed by, and where it stands, in UTF-16 code units. */
export type OnWord = (terms: readonly string[], start: number, end: number) => void

// Writing that puts no space between words is left to ICU's dictionaries, which are some twenty times slower than this.
const SPACELESS =
  '\\p{sc=Han}\\p{sc=Hira}\\p{sc=Kana}\\u30fc\\p{sc=Thai}\\p{sc=Lao}\\p{sc=Khmr}\\p{sc=Mymr}\\p{sc=Tibt}'
const WORD = new RegExp(`[[\\p{L}\\p{N}\\p{M}]--[${SPACELESS}]]+|[${SPACELESS}]+`, 'gv')
const IS_SPACELESS = new RegExp(`^[${SPACELESS}]`, 'v')
const HANGUL = /^\p{sc=Hang}/u

// Accents of Latin, Greek and Cyrillic, the points of Hebrew and Arabic. Other marks are vowels.
const ACCENTS = /[\u0300-\u036f\u0591-\u05c7\u064b-\u0655\u0670]/g
const OTHER_FORMS: Readonly<Record<string, string>> = {
  ß: 'ss', æ: 'ae', œ: 'oe', ø: 'o', ł: 'l', đ: 'd', ı: 'i', ς: 'σ', ة: 'ه', ى: 'ي', ـ: ''
}
const OTHER_FORM = new RegExp(`[${Object.keys(OTHER_FORMS).join('')}]`, 'g')
const ARABIC_ARTICLE = /^(?:[وبكف]?ال|لل)(?=.{3})/

// What is longer is no word; its beginning stands for it.
const MAX_WORD_CHARS = 40
const MAX_REMEMBERED = 20_000

const segmenter = new Intl.Segmenter('en', { granularity: 'word' })
const remembered = new Map<string, readonly string[]>()

/**
 * Finds the words of a text, in any language, and folds what a search should not care about: case, accents, widths, and
 * the commonest inflections. The text is best given in NFC, so that what looks alike is alike.
 */
export function eachWord (text: string, onWord: OnWord): void {
  for (const { 0: run, index } of text.matchAll(WORD)) {
    if (!IS_SPACELESS.test(run)) {
      onWord(termsOf(run), index, index + run.length)
      continue
    }
    for (const { segment, index: at, isWordLike } of segmenter.segment(run)) {
      if (isWordLike === true) onWord(termsOf(segment), index + at, index + at + segment.length)
    }
  }
}

// Most words of a text were met before, and folding takes far longer than looking them up.
function termsOf (word: string): readonly string[] {
  const known = remembered.get(word)
  if (known) return known
  if (remembered.size >= MAX_REMEMBERED) remembered.clear()
  const own = copyOf(word.slice(0, MAX_WORD_CHARS))
  const terms = fold(own)
  if (own.length === word.length) remembered.set(own, terms)
  return terms
}

/** A part of a string keeps all of it in memory; a copy does not. */
function copyOf (part: string): string {
  return Buffer.from(part, 'utf16le').toString('utf16le')
}

function fold (word: string): readonly string[] {
  const folded = word.normalize('NFKC').toLowerCase()
    .normalize('NFD').replace(ACCENTS, '').normalize('NFC')
    .replace(OTHER_FORM, (letter) => OTHER_FORMS[letter]!)
  if (HANGUL.test(folded)) return pairsOf(folded)
  return [withoutEnding(folded.replace(ARABIC_ARTICLE, ''))]
}

/** Korean writes particles onto its words: two syllables at a time find the word with any of them. */
function pairsOf (word: string): string[] {
  const syllables = [...word]
  if (syllables.length < 3) return [word]
  return [...new Set(syllables.slice(1).map((syllable, i) => syllables[i]! + syllable))]
}
