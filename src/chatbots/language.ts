const names = new Intl.DisplayNames(['en'], { type: 'language', fallback: 'none' })
const LETTERS = 'abcdefghijklmnopqrstuvwxyz'

/** Every language that has an English name, by that name in lower case. Made on first use: it asks for 18,000 codes. */
let tagsByName: Map<string, string> | undefined

function allTagsByName (): Map<string, string> {
  const two = [...LETTERS].flatMap((a) => [...LETTERS].map((b) => a + b))
  const three = two.flatMap((ab) => [...LETTERS].map((c) => ab + c))
  const found = new Map<string, string>()
  // Two-letter codes first: where both exist, the shorter one is the tag.
  for (const code of [...two, ...three]) {
    const name = names.of(code)?.toLowerCase()
    if (name !== undefined && !found.has(name)) found.set(name, code)
  }
  return found
}

/** The BCP 47 tag of a tag or of a language's English name; undefined where it is neither. */
export function languageTag (text: string): string | undefined {
  const wanted = text.trim()
  try {
    const locale = new Intl.Locale(wanted)
    // "english" has the form of a tag, too; only a language with a name is one.
    if (names.of(locale.language) !== undefined) return locale.toString()
  } catch {
    // Not of the form of a tag: it may be a name.
  }
  tagsByName ??= allTagsByName()
  return tagsByName.get(wanted.toLowerCase())
}
