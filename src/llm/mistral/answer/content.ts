import { isRecord } from './json-record.ts'

/** What a `content` holds. */
export interface Content {
  readonly text: string
  /** Chunks of a type that is not known here. */
  readonly unknownChunks: number
}

/**
 * Reads a `content`, which is a string, null, or a list of typed chunks. Only chunks of type `text` are the reply;
 * thinking is not, and other types are counted.
 */
export function readContent (content: unknown): Content {
  if (typeof content === 'string') return { text: content, unknownChunks: 0 }
  if (!Array.isArray(content)) return { text: '', unknownChunks: 0 }
  const chunks = content.map((chunk: unknown) => isRecord(chunk) ? chunk : {})
  return {
    text: chunks.map(({ type, text }) => type === 'text' && typeof text === 'string' ? text : '').join(''),
    unknownChunks: chunks.filter(({ type }) => type !== 'text' && type !== 'thinking').length
  }
}
