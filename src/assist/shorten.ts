const words = new Intl.Segmenter(undefined, { granularity: 'word' })

const ELLIPSIS = '…'

/**
 * A text of at most `maxChars` code points: as it is, or its start up to the end of a word, with an ellipsis. Where
 * that would take away more than half, the last word is cut between two characters.
 */
export function shorten (text: string, maxChars: number): string {
  // A code point has one or two units.
  if (text.length <= maxChars) return text
  const characters = [...text.slice(0, 2 * (maxChars + 1))]
  if (characters.length <= maxChars) return text
  const start = characters.slice(0, maxChars).join('')
  let end = 0
  for (const { index, segment, isWordLike } of words.segment(start)) {
    // The last word may go on behind the cut.
    if (isWordLike === true && index + segment.length < start.length) end = index + segment.length
  }
  return (end >= start.length / 2 ? start.slice(0, end) : characters.slice(0, maxChars - 1).join('')) + ELLIPSIS
}
