import { type Bus } from '../bus/bus.ts'
import { Alarm } from './alarm.ts'

const TURN_CALLED = 'turn-called'

/** The sends that wait here for the turn of their session. Who is next is said by the tickets in the session. */
export class WaitingLine {
  readonly #bus: Bus
  /** By ticket. */
  readonly #waiting = new Map<string, { readonly sessionId: string, readonly alarm: Alarm }>()

  constructor (bus: Bus) {
    this.#bus = bus
    bus.subscribe(TURN_CALLED, ({ ticket, sessionId }) => {
      if (ticket !== undefined) this.#waiting.get(String(ticket))?.alarm.ring()
      else this.#ringAll((waiting) => waiting.sessionId === sessionId)
    })
  }

  /** Rings when the ticket is called. */
  join (ticket: string, sessionId: string): Alarm {
    const alarm = new Alarm()
    this.#waiting.set(ticket, { sessionId, alarm })
    return alarm
  }

  leave (ticket: string): void {
    this.#waiting.delete(ticket)
  }

  /** Tells the send with this ticket, wherever it waits, that its turn may have come. */
  call (ticket: string): void {
    const here = this.#waiting.get(ticket)
    if (here) here.alarm.ring()
    else this.#bus.publish(TURN_CALLED, { ticket })
  }

  /** Tells all who wait for a session, wherever they do, that it is gone. */
  dismiss (sessionId: string): void {
    this.#bus.publish(TURN_CALLED, { sessionId })
  }

  /** Lets all look around who wait here. */
  wakeAll (): void {
    this.#ringAll(() => true)
  }

  #ringAll (isMeant: (waiting: { readonly sessionId: string }) => boolean): void {
    for (const waiting of this.#waiting.values()) if (isMeant(waiting)) waiting.alarm.ring()
  }
}
