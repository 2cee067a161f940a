import { isRecord } from './json-record.ts'

/**
 * The text of a `content`, which is a string, null, or a list of typed chunks. Only chunks of type `text` are the
 * reply; thinking and types not known here are not.
 */
export function contentText (content: unknown): string {
  if (typeof content === 'string') return content
  if (!Array.isArray(content)) return ''
  return content.map(chunkText).join('')
}

function chunkText (chunk: unknown): string {
  return isRecord(chunk) && chunk.type === 'text' && typeof chunk.text === 'string' ? chunk.text : ''
}
