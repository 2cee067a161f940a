// Of writing without spaces, and of words that do not end.
const MAX_PIECE = 16

const isSpace = (unit: string) => /\s/.test(unit)
const isHigh = (unit: string) => /[\uD800-\uDBFF]/.test(unit)

/**
 * Where the piece of a text ends that begins at `from`: behind a white space, or where it gets too long, never within a
 * character. Undefined: what there is of the text by now does not tell. What comes later never moves an end, so that the
 * same text has the same pieces whenever and wherever it is read.
 */
export function endOfPiece (text: string, from: number): number | undefined {
  for (let at = from; at < text.length; at++) {
    const unit = text[at]!
    if (isSpace(unit)) return at + 1
    if (at - from + 1 < MAX_PIECE) continue
    if (!isHigh(unit)) return at + 1
    return at + 1 < text.length ? at + 2 : undefined
  }
  return undefined
}
