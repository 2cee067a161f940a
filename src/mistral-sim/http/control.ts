import { ApiFailure, refusal } from '../errors/api-failure.ts'
import { type ParsedBody } from './body.ts'
import { type RequestRecord } from './recording.ts'

/** What the control routes act on. */
export interface Controlled {
  requests (): readonly RequestRecord[]
  clearRequests (): void
  /** Throws a 400 when the entries are no script. */
  script (entries: unknown): void
  reset (): void
}

/** Whether the path belongs to the control routes. */
export const isControlPath = (path: string): boolean => path.startsWith('/__sim/')

/** Does what a control route asks; the returned value is the reply's JSON. Throws a 400 or 404. */
export function control (method: string, path: string, body: ParsedBody, sim: Controlled): unknown {
  switch (`${method} ${path}`) {
    case 'GET /__sim/requests': return { requests: sim.requests() }
    case 'DELETE /__sim/requests':
      sim.clearRequests()
      return { ok: true }
    case 'POST /__sim/script':
      sim.script(scriptIn(body))
      return { ok: true }
    case 'POST /__sim/reset':
      sim.reset()
      return { ok: true }
    default: throw new ApiFailure(404, { detail: 'Not Found' })
  }
}

function scriptIn ({ json, problem }: ParsedBody): unknown {
  if (problem !== undefined) throw refusal(400, `body: ${problem.msg}`, 'invalid_script', null)
  return typeof json === 'object' && json !== null && 'script' in json ? json.script : undefined
}
