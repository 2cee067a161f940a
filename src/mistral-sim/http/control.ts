import { Type, type Static } from '@sinclair/typebox'
import { ApiFailure, invalidBody } from '../errors/api-failure.ts'
import { ScriptSchema } from '../faults/script-schema.ts'
import { type ScriptEntry } from '../faults/script.ts'
import { type RequestRecord } from './recording.ts'
import { validator } from '../validation/validator.ts'

/** What the control routes act on. */
export interface Controlled {
  requests (): readonly RequestRecord[]
  clearRequests (): void
  script (entries: ScriptEntry[]): void
  reset (): void
}

const Body = Type.Object({ script: ScriptSchema }, { additionalProperties: false })
const validate = validator(Body)

/** Whether the path belongs to the control routes. */
export const isControlPath = (path: string): boolean => path.startsWith('/__sim/')

/** Does what a control route asks; the returned value is the reply's JSON. Throws 404 and 422. */
export function control (method: string, path: string, body: unknown, sim: Controlled): unknown {
  switch (`${method} ${path}`) {
    case 'GET /__sim/requests': return { requests: sim.requests() }
    case 'DELETE /__sim/requests':
      sim.clearRequests()
      return { ok: true }
    case 'POST /__sim/script': {
      const problems = validate(body)
      if (problems.length > 0) throw invalidBody(problems, 'detail')
      sim.script((body as Static<typeof Body>).script)
      return { ok: true }
    }
    case 'POST /__sim/reset':
      sim.reset()
      return { ok: true }
    default: throw new ApiFailure(404, { detail: 'Not Found' })
  }
}
