import { hex } from '../digest.ts'

const DIGITS = 8

/** Numbers that look random and are the same for the same seed. */
export class Dice {
  readonly #seed: number
  #count = 0

  constructor (seed: number) {
    this.#seed = seed
  }

  /** The next number, at least 0 and below 1. */
  roll (): number {
    return Number.parseInt(hex(`${this.#seed}:${this.#count++}`, DIGITS), 16) / 16 ** DIGITS
  }

  /** Begins from the first number. */
  restart (): void {
    this.#count = 0
  }
}
