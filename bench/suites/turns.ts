import { b2, b4, literalTurns, parley, parleyAlone } from '../contenders.ts'
import { type Suite } from './suite.ts'

/** A message to a session: stored, answered by the model, the answer stored. */
export const turns: Suite = {
  name: 'Stored turn',
  unit: 'turns/s',
  contenders: [b4, b2, parley, parleyAlone, literalTurns],
  loads: [1, 64, 256].flatMap((callers) => [0, 50].map((delayMs) => ({ callers, delayMs })))
}
