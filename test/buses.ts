import { MongoClient } from 'mongodb'
import { type Test } from 'tap'
import { Bus, type BusLog, type Carrier } from '../src/bus/bus.ts'
import { SignalRepository, type SignalPayload } from '../src/store/signals.ts'
import { databaseName, storeUri } from './helper.ts'

/** Keeps what is logged. */
export class TestLog implements BusLog {
  readonly lines: string[] = []

  info (details: object, message: string): void {
    this.lines.push(`info ${message} ${JSON.stringify(details)}`)
  }

  warn (details: object, message: string): void {
    this.lines.push(`warn ${message} ${JSON.stringify(details)}`)
  }
}

/** The signals in a database, over a connection of their own. */
export async function signals (test: Test, uri?: string, database = databaseName()): Promise<SignalRepository> {
  const client = new MongoClient(uri ?? await storeUri(), { serverSelectionTimeoutMS: 2000 })
  test.teardown(async () => await client.close())
  const repository = new SignalRepository(client.db(database))
  await repository.createIndexes()
  return repository
}

/** A bus that is closed with the test. */
export function startBus (test: Test, ...carriers: Carrier[]): Bus {
  const bus = new Bus(carriers)
  test.teardown(async () => await bus.close())
  return bus
}

/** All that a topic brings, and a way to wait for one of it. */
export function hear (bus: Bus, topic: string) {
  const heard: SignalPayload[] = []
  const waiting = new Map<unknown, () => void>()
  const stop = bus.subscribe(topic, (payload) => {
    heard.push(payload)
    waiting.get(payload['n'])?.()
  })
  const until = async (n: number) => {
    if (!heard.some((payload) => payload['n'] === n)) await new Promise<void>((resolve) => waiting.set(n, resolve))
  }
  return { heard, stop, until }
}

/** Says it again and again until `heard`: what is said is a hint and may be lost. */
export async function repeat (say: () => void, heard: Promise<void>): Promise<void> {
  const timer = setInterval(say, 20)
  say()
  await heard
  clearInterval(timer)
}
