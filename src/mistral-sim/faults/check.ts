import { refusal, type ApiFailure } from '../errors/api-failure.ts'
import { inOneLine, type Problem } from '../validation/problem-text.ts'
import { validator } from '../validation/validator.ts'
import { Fault, Script, type ScriptEntry } from './schema.ts'

const scriptProblems = validator(Script)
const faultProblems = validator(Fault)

/** Takes a value as a script. Throws a 400 that says what is wrong with it. */
export function checkScript (value: unknown): ScriptEntry[] {
  refuse('script', scriptProblems(value))
  const entries = value as ScriptEntry[]
  entries.forEach((entry, index) => {
    if (!faultsOf(entry).some(isAtAccept)) return
    const alone = entry.match === undefined && Object.keys(faultsOf(entry)[0] ?? {}).length === 1
    if (alone && faultsOf(entry).length === 1) return
    throw bad(`script.${index}: a connection that is reset at accept has sent no request yet, ` +
      'so that the entry can have no match and no other fault')
  })
  return entries
}

/** Takes a JSON text as the fault of one request. Throws a 400 that says what is wrong with it. */
export function checkHeaderFault (text: string): Fault {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    throw bad('x-sim-fault is not JSON')
  }
  refuse('x-sim-fault', faultProblems(value))
  const fault = value as Fault
  if (isAtAccept(fault)) throw bad('x-sim-fault comes too late for a reset at accept')
  return fault
}

/** The faults of an entry, one of which is taken. */
export function faultsOf ({ fault }: ScriptEntry): Fault[] {
  if (fault === undefined) return []
  return Array.isArray(fault) ? fault : [fault]
}

/** Whether the fault is one of a connection, not of a request. */
export function isAtAccept ({ reset }: Fault): boolean {
  return reset !== undefined && 'at' in reset && reset.at === 'accept'
}

function refuse (name: string, problems: Problem[]): void {
  if (problems.length > 0) throw bad(inOneLine(name, problems))
}

function bad (message: string): ApiFailure {
  return refusal(400, message, 'invalid_script', null)
}
