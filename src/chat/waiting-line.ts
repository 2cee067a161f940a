import { type Bus } from '../bus/bus.ts'
import { Alarm } from './alarm.ts'

const TURN_CALLED = 'turn-called'

/** The sends that wait here for the turn of their session. Who is next is said by the tickets in the session. */
export class WaitingLine {
  readonly #bus: Bus
  readonly #alarms = new Map<string, Alarm>()

  constructor (bus: Bus) {
    this.#bus = bus
    bus.subscribe(TURN_CALLED, ({ ticket }) => this.#alarms.get(String(ticket))?.ring())
  }

  /** Rings when the ticket is called. */
  join (ticket: string): Alarm {
    const alarm = new Alarm()
    this.#alarms.set(ticket, alarm)
    return alarm
  }

  leave (ticket: string): void {
    this.#alarms.delete(ticket)
  }

  /** Tells the send with this ticket, wherever it waits, that its turn may have come. */
  call (ticket: string): void {
    const here = this.#alarms.get(ticket)
    if (here) here.ring()
    else this.#bus.publish(TURN_CALLED, { ticket })
  }

  /** Lets all look around who wait here. */
  wakeAll (): void {
    for (const alarm of this.#alarms.values()) alarm.ring()
  }
}
