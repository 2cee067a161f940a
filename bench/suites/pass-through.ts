import { c, literalDoor, parleyDoor, portkey } from '../contenders.ts'
import { type Suite } from './suite.ts'

/** A chat completion in one piece. Nothing of the conversation is stored. */
export const passThrough: Suite = {
  name: 'Pass-through',
  unit: 'requests/s',
  contenders: [c, parleyDoor, literalDoor, portkey],
  loads: [1, 64].flatMap((callers) => [0, 50].map((delayMs) => ({ callers, delayMs })))
}
