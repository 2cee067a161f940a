import { type Test } from 'tap'
import { startSim, type Clock, type Sim, type SimOptions } from '../src/mistral-sim/index.ts'
import { startApp, type TestApp } from './helper.ts'

/** A clock that only goes on when the test says so: every wait is one step. */
export class StepClock implements Clock {
  #waiting: Array<() => void> = []
  #arrivals: Array<() => void> = []
  #free = false

  now (): number {
    return 0
  }

  async wait (_ms: number, signal: AbortSignal): Promise<void> {
    if (this.#free) return
    await new Promise<void>((resolve) => {
      this.#waiting.push(resolve)
      signal.addEventListener('abort', () => resolve(), { once: true })
      this.#arrivals.shift()?.()
    })
  }

  /** Lets the next `count` waits end, each as soon as it has begun. */
  async step (count = 1): Promise<void> {
    for (let i = 0; i < count; i++) {
      if (this.#waiting.length === 0) await new Promise<void>((resolve) => this.#arrivals.push(resolve))
      this.#waiting.shift()?.()
    }
  }

  /** Resolves when somebody waits. */
  async arrived (): Promise<void> {
    if (this.#waiting.length === 0) await new Promise<void>((resolve) => this.#arrivals.push(resolve))
  }

  /** From now on nothing waits. */
  run (): void {
    this.#free = true
    for (const resolve of this.#waiting.splice(0)) resolve()
  }
}

export interface TestAppWithSim extends TestApp {
  readonly sim: Sim
}

/** The simulator, ended after the test; it fails the test that sent it a request which the real API refuses. */
export async function startTestSim (test: Test, options: SimOptions = {}): Promise<Sim> {
  const sim = await startSim({ strict: true, ...options })
  test.teardown(async () => await sim.close())
  return sim
}

/** The real app with the Mistral provider, talking to a simulator. */
export async function startAppWithSim (
  test: Test, options: SimOptions = {}, env: Record<string, string> = {}
): Promise<TestAppWithSim> {
  const sim = await startTestSim(test, options)
  const app = await startApp(test, { MISTRAL_BASE_URL: sim.url, MISTRAL_API_KEY: 'sim', ...env })
  return { ...app, sim }
}

/** The messages of the prompt that the model got with its `nth` request, from 0. */
export function promptOf (sim: Sim, nth: number): Array<{ role: string, content: string }> {
  const json = sim.requests()[nth]?.json as { messages: Array<{ role: string, content: string }> }
  return json.messages
}
