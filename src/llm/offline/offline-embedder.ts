import { createHash } from 'node:crypto'
import { type Embedder } from '../provider.ts'

const MODEL = 'offline-hashed-words'
const SIZE = 1024

const words = new Intl.Segmenter('en', { granularity: 'word' })

/**
 * Vectors without a model: each word of a text counts at a place that its hash says. Texts are near each other where they
 * have words in common, and for no other reason. It needs no network and never fails.
 */
export function createOfflineEmbedder (): Embedder {
  return {
    modelFor: () => MODEL,
    async embed (texts, { signal }) {
      signal.throwIfAborted()
      return texts.map(vectorOf)
    }
  }
}

function vectorOf (text: string): Float32Array {
  const vector = new Float32Array(SIZE)
  for (const { segment, isWordLike } of words.segment(text.normalize('NFKC').toLowerCase())) {
    if (isWordLike !== true) continue
    const hash = createHash('sha256').update(segment).digest()
    // The sign lets words that share a place cancel each other out as often as they add up.
    vector[hash.readUInt16LE(0) % SIZE]! += hash[2]! & 1 ? 1 : -1
  }
  const length = Math.hypot(...vector)
  return length === 0 ? vector : vector.map((number) => number / length)
}
