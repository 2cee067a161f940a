import { type Fault } from './script.ts'
import { type Step } from '../http/stream.ts'

/** Puts a fault into the steps of a reply, streamed or plain. */
export function withFault (steps: Step[], fault: Fault): Step[] {
  const middle = Math.ceil(steps.length / 2)
  const upTo = (chunks: number, ...end: Step[]): Step[] => [...steps.slice(0, chunks), ...end]
  if (fault.hangAfter) return upTo(fault.hangAfter.chunks, { kind: 'hang' })
  if (fault.reset && 'afterChunks' in fault.reset) return upTo(fault.reset.afterChunks, { kind: 'reset' })
  if (fault.truncate) return upTo(fault.truncate === true ? middle : fault.truncate.chunks, { kind: 'end' })
  if (fault.malformed) return upTo(middle, broken(steps[middle]), ...steps.slice(middle + 1))
  if (fault.errorChunk) return withError(steps, fault.errorChunk)
  return steps
}

function broken (step: Step | undefined): Step {
  if (step?.kind === 'piece') return { kind: 'piece', text: '' }
  const data = step?.kind === 'event' ? step.data : '{}'
  return { kind: 'event', data: data.slice(0, Math.ceil(data.length / 2)) }
}

type ErrorForm = NonNullable<Fault['errorChunk']>

/** A stream breaks off in the middle with the error; a plain body, still with status 200, is the error. */
function withError (steps: Step[], form: ErrorForm): Step[] {
  const [first] = steps
  if (first?.kind === 'event') {
    const data = JSON.stringify(errorObject(form, first.data))
    return [...steps.slice(0, Math.ceil(steps.length / 2)), { kind: 'event', data }, { kind: 'end' }]
  }
  const whole = steps.map((step) => step.kind === 'piece' ? step.text : '').join('')
  return [{ kind: 'piece', text: JSON.stringify(errorObject(form, whole)) }]
}

const MESSAGE = 'Internal server error'

function errorObject (form: ErrorForm, reply: string): object {
  switch (form) {
    case 'mistral': return {
      object: 'error', message: MESSAGE, type: 'internal_server_error', param: null, code: '1000', raw_status_code: 500
    }
    case 'openai': return { error: { message: MESSAGE, type: 'server_error', code: 500 } }
    case 'finish_reason': return failed(JSON.parse(reply) as { choices?: object[] })
  }
}

function failed (reply: { choices?: object[] }): object {
  return { ...reply, choices: reply.choices?.map((choice) => ({ ...choice, finish_reason: 'error' })) }
}
