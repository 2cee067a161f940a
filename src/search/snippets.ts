import { eachWord } from './words.ts'

/** A stretch of a text, in UTF-16 code units. */
export interface Stretch {
  readonly start: number
  readonly end: number
}

export interface Snippet {
  /** Plain text, in NFC. */
  readonly snippet: string
  /** Where in it the words stand that were looked for. */
  readonly highlights: Stretch[]
}

interface Hit extends Stretch {
  readonly terms: readonly string[]
}

const MAX_CHARS = 240
const CHARS_BEFORE = 60
const ELLIPSIS = '…'
// How far an end of the snippet is moved so that it does not fall into a word.
const SLACK_CHARS = 20

/** The stretch of a text with the most of the words looked for, and where they stand in it. */
export function snippetOf (content: string, words: ReadonlySet<string>): Snippet {
  const text = content.normalize('NFC')
  const hits: Hit[] = []
  eachWord(text, (terms, start, end) => {
    const found = terms.filter((term) => words.has(term))
    if (found.length > 0) hits.push({ terms: found, start, end })
  })
  const { start, end } = windowOf(text, hits)
  const before = start > 0 ? ELLIPSIS : ''
  const offset = before.length - start
  return {
    snippet: before + text.slice(start, end) + (end < text.length ? ELLIPSIS : ''),
    highlights: hits
      .filter((hit) => hit.start >= start && hit.end <= end)
      .map((hit) => ({ start: hit.start + offset, end: hit.end + offset }))
  }
}

function windowOf (text: string, hits: readonly Hit[]): Stretch {
  if (text.length <= MAX_CHARS) return { start: 0, end: text.length }
  const start = wordStart(text, Math.max(0, bestStart(hits) - CHARS_BEFORE))
  return { start, end: wordEnd(text, start + MAX_CHARS) }
}

/** The hit from which on a snippet shows the most different words. */
function bestStart (hits: readonly Hit[]): number {
  let best = { start: 0, different: 0 }
  for (const [i, { start }] of hits.entries()) {
    const different = new Set<string>()
    for (let at = i; at < hits.length && hits[at]!.end <= start + MAX_CHARS - CHARS_BEFORE; at++) {
      for (const term of hits[at]!.terms) different.add(term)
    }
    if (different.size > best.different) best = { start, different: different.size }
  }
  return best.start
}

function wordStart (text: string, at: number): number {
  if (at === 0) return 0
  const space = text.slice(at, at + SLACK_CHARS).search(/\s/)
  return isInPair(text, at) ? at + 1 : space === -1 ? at : at + space + 1
}

function wordEnd (text: string, at: number): number {
  if (at >= text.length) return text.length
  const space = text.slice(at - SLACK_CHARS, at + 1).search(/\s\S*$/)
  return space === -1 ? isInPair(text, at) ? at - 1 : at : at - SLACK_CHARS + space
}

/** Whether a cut would part the two halves of one character. */
function isInPair (text: string, at: number): boolean {
  return text.codePointAt(at - 1)! > 0xffff
}
