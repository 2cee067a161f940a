import { isStorable } from '../storable-json.ts'
import { refusal } from './errors.ts'

/** What may be said in a session, and so is stored. */
export class Sayable {
  readonly #maxChars: number

  constructor (maxChars: number) {
    this.#maxChars = maxChars
  }

  /** A message of the user. Throws `validation_failed`. */
  require (text: string, param: string): string {
    if (text.trim() === '') throw refusal(param, 'The message of the user is blank.')
    // Code points are counted where code units alone do not tell.
    if (text.length > this.#maxChars && [...text].length > this.#maxChars) {
      throw refusal(param, `A message has at most ${this.#maxChars} characters.`, 'string_above_max_length')
    }
    return this.storable(text, param)
  }

  /** Any text that is kept. Throws `validation_failed`. */
  storable (text: string, param: string): string {
    if (!isStorable(text)) throw refusal(param, 'The text holds NUL or half a character.')
    return text
  }
}
