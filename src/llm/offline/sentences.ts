// Where Intl.Segmenter sees the end of a sentence and there is none: a capital or a number follows, but the full stop
// belongs to initials or a dotted abbreviation, to a title or a name ("St. Petersburg"), or announces a number.
const INITIAL = /(?:^|[^\p{L}\p{N}'’])\p{L}\.\s*$/u
const TITLE = new RegExp('(?:^|[^\\p{L}])(?:Dr|Mr|Mrs|Ms|Mx|Prof|Rev|Hon|Gen|Col|Maj|Capt|Lt|Sgt|Gov|Sen|Rep|Pres|' +
  'St|Ste|Mt|Ft|Jr|Sr|Mme|Mlle|Hr|Sra|Dra|vs|cf|ca|approx|incl|excl|resp|bzw|vgl)\\.\\s*$', 'u')
const NUMBER_PREFIX = /(?:^|[^\p{L}])(?:no|nos|nr|núm|n|fig|abb|vol|bd|ch|kap|art|sec|pp?|s|tel|ext)\.\s*$/iu
const ORDINAL = /(?:^|\s)\d{1,2}\.\s*$/u
const STARTS_WITH_DIGIT = /^\p{N}/u

// Languages that write an ordinal as a number with a full stop ("am 3. Mai").
const ORDINAL_LANGUAGES = new Set(['cs', 'da', 'de', 'et', 'fi', 'hr', 'hu', 'nb', 'sk', 'sl', 'sr', 'tr'])

/** Returns the function that splits one line into its sentences, each with the space after it, by a locale's rules. */
export function createSentenceSplitter (locale: Intl.Locale): (line: string) => string[] {
  const segmenter = new Intl.Segmenter(locale, { granularity: 'sentence' })
  const ordinals = ORDINAL_LANGUAGES.has(locale.language)

  function runsOn (sentence: string, next: string): boolean {
    // An abbreviation is at the end: a long sentence need not be searched.
    const end = sentence.slice(-24)
    return INITIAL.test(end) || TITLE.test(end) ||
      (STARTS_WITH_DIGIT.test(next) && NUMBER_PREFIX.test(end)) || (ordinals && ORDINAL.test(end))
  }

  return (line) => {
    const sentences: string[] = []
    let sentence = ''
    for (const { segment } of segmenter.segment(line)) {
      if (sentence !== '' && !runsOn(sentence, segment)) {
        sentences.push(sentence)
        sentence = ''
      }
      sentence += segment
    }
    if (sentence !== '') sentences.push(sentence)
    return sentences
  }
}
