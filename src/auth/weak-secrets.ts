// What stands in examples, templates and answers on the web. Chance does not write such words.
const placeholder = /change.?(me|this|it)|replace.?(me|this)|place.?holder|default|example|password|passphrase|insecure|^secret|(my|your|super|jwt|app).{0,12}secret|secret.{0,3}key|qwertyui|01234567|12345678|abcdefgh/i
const repeated = /^(.{1,16}?)\1+.{0,15}$/s
const MIN_DISTINCT = 8

/** Whether a secret is one that somebody could guess: a placeholder, a pattern, or made of few characters. */
export function isWeakSecret (secret: string): boolean {
  return placeholder.test(secret) || repeated.test(secret) || new Set(secret).size < MIN_DISTINCT
}
