import { stopWordsOf } from './stop-words.ts'

/** Reduces a word in lower case to its stem. */
export type Stemmer = (word: string) => string

/** What the search needs to know of a language. */
export interface Language {
  readonly locale: Intl.Locale
  readonly stopWords: ReadonlySet<string>
  /** Absent: no stemmer for this language, so that the search tolerates endings instead. */
  readonly stem?: Stemmer
}

type StemmerModule = Promise<{ stemmer: Stemmer }>

// Loaded when a language is first asked for: all of them would slow down every start.
const STEMMERS: Readonly<Record<string, () => StemmerModule>> = {
  ar: () => import('@orama/stemmers/arabic'),
  bg: () => import('@orama/stemmers/bulgarian'),
  da: () => import('@orama/stemmers/danish'),
  de: () => import('@orama/stemmers/german'),
  el: () => import('@orama/stemmers/greek'),
  en: () => import('@orama/stemmers/english'),
  es: () => import('@orama/stemmers/spanish'),
  fi: () => import('@orama/stemmers/finnish'),
  fr: () => import('@orama/stemmers/french'),
  ga: () => import('@orama/stemmers/irish'),
  hi: () => import('@orama/stemmers/indian'),
  hu: () => import('@orama/stemmers/hungarian'),
  hy: () => import('@orama/stemmers/armenian'),
  id: () => import('@orama/stemmers/indonesian'),
  it: () => import('@orama/stemmers/italian'),
  lt: () => import('@orama/stemmers/lithuanian'),
  nb: () => import('@orama/stemmers/norwegian'),
  ne: () => import('@orama/stemmers/nepali'),
  nl: () => import('@orama/stemmers/dutch'),
  pt: () => import('@orama/stemmers/portuguese'),
  ro: () => import('@orama/stemmers/romanian'),
  ru: () => import('@orama/stemmers/russian'),
  sr: () => import('@orama/stemmers/serbian'),
  sv: () => import('@orama/stemmers/swedish'),
  ta: () => import('@orama/stemmers/tamil'),
  tr: () => import('@orama/stemmers/turkish'),
  uk: () => import('@orama/stemmers/ukrainian')
}

// The tags of one written language under another name.
const ALIASES: Readonly<Record<string, string>> = { no: 'nb', nn: 'nb' }

/** The locale of a BCP 47 tag; English for one that is malformed. */
export function localeOf (tag: string): Intl.Locale {
  try {
    const locale = new Intl.Locale(tag)
    const alias = ALIASES[locale.language]
    return alias === undefined ? locale : new Intl.Locale(alias)
  } catch {
    return new Intl.Locale('en')
  }
}

/** Stop words and stemmer of a locale's language, as far as there are any. */
export async function loadLanguage (locale: Intl.Locale): Promise<Language> {
  const stopWords = stopWordsOf(locale.language)
  const load = STEMMERS[locale.language]
  if (load === undefined) return { locale, stopWords }
  const { stemmer } = await load()
  return { locale, stopWords, stem: stemmer }
}
