import { createSentenceSplitter } from './sentences.ts'

/** A sentence that can be quoted, and the text around it that tells what it is about. */
export interface Passage {
  /** With the white space that stands between it and the next one. */
  readonly text: string
  /** The headings above it and the sentence before it. */
  readonly context: string
}

// The longest sentence of the quality benchmark has 659 characters. Text without full stops is cut here, so that a
// reply stays short.
const MAX_PASSAGE_CHARS = 1000
// As much as fits, up to a white space; where there is none, as much as fits.
const PIECE = new RegExp(`.{1,${MAX_PASSAGE_CHARS - 1}}(?:\\s|$)|.{1,${MAX_PASSAGE_CHARS}}`, 'gsu')

const LINE_BREAK = /[\r\n\u2028\u2029]+/u
const HEADING_MARK = /^#{1,6}\s+/u
const LIST_MARK = /^(?:[-*+•>]\s+|\d{1,3}[.)]\s+)+/u
const HAS_WORD = /[\p{L}\p{N}]/u
// What announces or asks ("Opening hours:", "Do you ship abroad?") tells what follows it is about, and answers nothing.
const LEAD_IN = /[:?：？؟]["'”’*_\s]*$/u

/**
 * Splits instructions into what can be quoted from them. Lines and list items end sentences; headings, lead-ins and
 * questions become the context of what follows them.
 */
export function splitPassages (text: string, locale: Intl.Locale): Passage[] {
  const splitSentences = createSentenceSplitter(locale)
  const passages: Passage[] = []
  const announcements: string[] = []
  let heading = ''
  let leadIn = ''
  let before = ''
  for (const raw of text.split(LINE_BREAK)) {
    const line = raw.trim()
    if (HEADING_MARK.test(line)) {
      heading = line.replace(HEADING_MARK, '')
      announcements.push(heading)
      leadIn = before = ''
      continue
    }
    for (const sentence of splitSentences(`${line.replace(LIST_MARK, '')}\n`)) {
      if (!HAS_WORD.test(sentence)) continue
      if (LEAD_IN.test(sentence)) {
        leadIn = sentence
        announcements.push(sentence)
        before = ''
        continue
      }
      const context = [heading, leadIn, before].join('\n')
      for (const piece of cut(sentence)) passages.push({ text: piece, context })
      before = sentence
    }
  }
  if (passages.length > 0) return passages
  return announcements.flatMap(cut).map((piece) => ({ text: `${piece}\n`, context: '' }))
}

function cut (sentence: string): string[] {
  return sentence.match(PIECE) ?? []
}
