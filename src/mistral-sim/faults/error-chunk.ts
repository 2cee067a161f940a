import { errorBody } from '../errors/bodies.ts'
import { type Chunk, type Reply } from '../http/reply.ts'
import { middleOf } from './cut.ts'
import { edited, withChoices } from './json-chunk.ts'
import { type Fault } from './schema.ts'

type ErrorChunk = NonNullable<Fault['errorChunk']>
type Form = Exclude<ErrorChunk, object>

/** The reply with an error in place of its rest; of a reply that is not streamed, nothing else is left. */
export function withError (reply: Reply, wanted: ErrorChunk): Reply {
  const form = typeof wanted === 'string' ? wanted : wanted.form
  const kept = typeof wanted === 'string' ? middleOf(reply) : Math.floor(wanted.chunks)
  const [first = { data: '{}' }] = reply.chunks
  const error = errorChunk(form, first)
  if (!reply.stream) return { ...reply, chunks: [error] }
  return { ...reply, chunks: [...reply.chunks.slice(0, kept), error], ending: 'early' }
}

function errorChunk (form: Form, like: Chunk): Chunk {
  if (form !== 'finish_reason') return { data: JSON.stringify(errorBody(form, 500, '')) }
  return edited(like, (json) => withChoices(json, (choice) => ({ ...choice, finish_reason: 'error' })))
}
