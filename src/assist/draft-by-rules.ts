import { type Draft } from '../../schemas/specification.ts'
import { type Language, loadLanguage, localeOf } from '../llm/offline/languages.ts'
import { createSentenceSplitter } from '../llm/offline/sentences.ts'
import { createTermExtractor } from '../llm/offline/terms.ts'
import { guessLanguage } from './guess-language.ts'
import { shorten } from './shorten.ts'
import { DEFAULT_STYLE, toneIn } from './tone-words.ts'

const NAME_CHARS = 60
const PURPOSE_CHARS = 2000
const TERM_CHARS = 120

const MAX_TERMS = 5
// A term of the first sentence or the heading counts as if it had come up once more.
const FOREMOST = 1

const HEADING_MARK = /^#{1,6}\s+/u
const LIST_MARK = /^(?:[-*+•>]\s+|\d{1,3}[.)]\s+)+/u
const EMPHASIS = /^(\*\*|__)(.*)\1$/u
// A line of its own is a heading where it is short and does not end as a sentence does.
const HEADING_CHARS = 80
const SENTENCE_END = /[.!?:;,…。！？：，][\s"'”’)]*$/u

interface Outline {
  /** The line above the text, where it has one. */
  readonly heading?: string
  readonly first: string
  /** All that follows the first sentence, as it was written. */
  readonly rest: string
}

/**
 * A draft without a model: nothing in it but what the brief says, and the defaults of a configuration. The first
 * sentence becomes the purpose, all that follows it the instructions. `tag`: the language that the bot is to speak, which
 * need not be that of the brief.
 */
export async function draftByRules (brief: string, tag: string): Promise<Draft> {
  const locale = localeOf(guessLanguage(brief))
  const { heading, first, rest } = outline(brief, locale)
  return {
    name: shorten(heading ?? first, NAME_CHARS),
    purpose: shorten(first, PURPOSE_CHARS),
    domain: tellingTerms(brief, [heading, first].join(' '), await loadLanguage(locale)),
    tone: { style: toneIn(brief) || DEFAULT_STYLE, language: tag },
    instructions: rest
  }
}

function outline (brief: string, locale: Intl.Locale): Outline {
  const [line, below] = splitLine(brief.trim())
  const looksLikeOne = line.length <= HEADING_CHARS && !SENTENCE_END.test(line)
  const isHeading = HEADING_MARK.test(line) || (below !== '' && looksLikeOne)
  const heading = line.replace(HEADING_MARK, '').replace(EMPHASIS, '$2').trim()
  if (!isHeading || heading === '') return firstSentence(brief.trim(), locale)
  return below === '' ? { first: heading, rest: '' } : { heading, ...firstSentence(below, locale) }
}

/** The first line of a text, and what is below it. */
function splitLine (text: string): [string, string] {
  const end = text.search(/[\r\n\u2028\u2029]/u)
  return end === -1 ? [text, ''] : [text.slice(0, end).trim(), text.slice(end).trim()]
}

function firstSentence (text: string, locale: Intl.Locale): Outline {
  const [line, below] = splitLine(text)
  const [sentence = ''] = createSentenceSplitter(locale)(line)
  const first = sentence.replace(HEADING_MARK, '').replace(LIST_MARK, '').trim()
  const rest = `${line.slice(sentence.length).trim()}\n${below}`.trim()
  return { first: first === '' ? sentence.trim() : first, rest }
}

/** The content words that come up most, written as where they come up first. `foremost`: where they count more. */
function tellingTerms (text: string, foremost: string, language: Language): string[] {
  const termsIn = createTermExtractor(language)
  const counts = new Map<string, { count: number, word: string }>()
  for (const { segment, isWordLike } of new Intl.Segmenter(language.locale, { granularity: 'word' }).segment(text)) {
    const [term] = isWordLike === true && isTelling(segment) ? termsIn(segment) : []
    if (term === undefined) continue
    const known = counts.get(term) ?? { count: 0, word: segment }
    counts.set(term, { ...known, count: known.count + 1 })
  }
  for (const term of new Set(termsIn(foremost))) {
    const known = counts.get(term)
    if (known) known.count += FOREMOST
  }
  // A stable sort: of two terms that come up as often, the first one comes first.
  const ranked = [...counts.values()].sort((a, b) => b.count - a.count)
  return ranked.slice(0, MAX_TERMS).map(({ word }) => shorten(word, TERM_CHARS))
}

/** Words of one or two letters tell little where words are written with letters; where they are not, two are a word. */
function isTelling (word: string): boolean {
  return /\p{L}/u.test(word) && (word.length > 2 || !/^[\p{sc=Latin}\p{sc=Cyrillic}\p{sc=Greek}]+$/u.test(word))
}
