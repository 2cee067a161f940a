/** What a model wrote, as it can be stored: without NUL, lone surrogates and white space around it. */
export function storableText (text: string): string {
  return text.replaceAll('\0', '').toWellFormed().trim()
}
