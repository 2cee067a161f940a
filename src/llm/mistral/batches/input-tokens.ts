const LETTERS_PER_TOKEN = 4

/**
 * Tokens of a text for an embedding, rather too many than too few: the tokenizer of those models is an old one, which
 * may spend a token on each digit, mark, or byte of a character beyond ASCII.
 */
export function estimateInputTokens (text: string): number {
  const others = text.replace(/[A-Za-z ]+/g, '')
  return Math.ceil((text.length - others.length) / LETTERS_PER_TOKEN) + Buffer.byteLength(others)
}
