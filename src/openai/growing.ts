import { goingDown } from '../chat/followed-message.ts'

/** A text that grows, and those who want to know. */
export interface Growing {
  readonly text: string
  readonly ended: boolean
  readonly failure: Error | undefined
  subscribe (listener: () => void): () => void
}

/** Waits until there is text, or there will be none. Rejects with a failure that comes before, and with `overloaded` on `closing`. */
export async function untilBegun (growing: Growing, closing: AbortSignal): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const check = () => {
      if (growing.text !== '' || growing.ended) resolve()
      else if (growing.failure !== undefined) reject(growing.failure)
      else if (closing.aborted) reject(goingDown())
      else return
      unsubscribe()
      closing.removeEventListener('abort', check)
    }
    const unsubscribe = growing.subscribe(check)
    closing.addEventListener('abort', check)
    check()
  })
}
