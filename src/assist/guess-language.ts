import { stopWordsOf } from '../llm/offline/stop-words.ts'

// A language that nearly alone writes with its script. Japanese comes first: it writes with Chinese characters, too.
const SCRIPTS: ReadonlyArray<readonly [RegExp, string]> = [
  [/[\p{scx=Hiragana}\p{scx=Katakana}]/gu, 'ja'],
  [/\p{sc=Han}/gu, 'zh'],
  [/\p{sc=Hangul}/gu, 'ko'],
  [/\p{sc=Thai}/gu, 'th'],
  [/\p{sc=Hebrew}/gu, 'he'],
  [/\p{sc=Greek}/gu, 'el'],
  [/\p{sc=Arabic}/gu, 'ar'],
  [/\p{sc=Devanagari}/gu, 'hi']
]
const SHARED = [
  'en', 'de', 'fr', 'es', 'it', 'pt', 'nl', 'pl', 'sv', 'da', 'nb', 'fi', 'cs', 'hu', 'ro', 'tr', 'id', 'vi', 'ru', 'uk'
]
const FALLBACK = 'en'

// The language of a text shows in its beginning.
const LOOKED_AT = 2000

/** The language a text is written in, as far as its script and its commonest words tell; English where they do not. */
export function guessLanguage (text: string): string {
  const start = text.slice(0, LOOKED_AT)
  const letters = start.match(/\p{L}/gu)?.length ?? 0
  // Of Chinese characters and kana, a Japanese text has some of both.
  const own = SCRIPTS.find(([script]) => (start.match(script)?.length ?? 0) * 4 > letters)
  if (own) return own[1]
  const words = start.toLowerCase().match(/[\p{L}\p{M}]+/gu) ?? []
  const hits = (language: string): number => words.filter((word) => stopWordsOf(language).has(word)).length
  return SHARED.reduce((best, language) => hits(language) > hits(best) ? language : best, FALLBACK)
}
