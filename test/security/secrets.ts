/** Credentials that are about, by the part of them that is secret. */
export class Secrets {
  readonly #known = new Set<string>()

  /** An API key, or a token of three parts. */
  add (credential: string): void {
    this.#known.add(credential.startsWith('pk_') ? credential.slice(-32) : credential.slice(credential.lastIndexOf('.') + 1))
  }

  /** Notes the API keys in a text. */
  addAllOf (text: string): void {
    for (const [key] of text.matchAll(/\bpk_\w{8}_\w{32}\b/g)) this.add(key)
  }

  isIn (text: string): boolean {
    return (text.match(/[\w-]{32,}/g) ?? []).some((word) => this.#known.has(word) || this.#known.has(word.slice(-32)))
  }
}
