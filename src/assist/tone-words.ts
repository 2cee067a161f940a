// How a brief may say it, in some of the languages that most are written in. Words that are said of other things as
// well (a warm meal, a patient, this brief) are left out.
const STYLES: ReadonlyArray<readonly [string, RegExp]> = [
  ['friendly', /^(friendl(y|ier|iness)|freundlich\p{L}*|amica(l|ux|le|les)|amables?|amichevol[ei]|vriendelijke?)$/u],
  ['formal', /^(formal(ly|ity)?|formell\p{L}*|förmlich\p{L}*|formel(le)?s?|formale|formeel)$/u],
  ['informal', /^(informal(ly)?|informell\p{L}*|locker\p{L}*|décontracté\p{L}*|informale|informeel)$/u],
  ['professional', /^(professional(ly|ism|e)?|professionell\p{L}*|professionnel(le)?s?|profes+ional|professioneel)$/u],
  ['polite', /^(polite(ly|ness)?|courteous(ly)?|höflich\p{L}*|polie?s?|cort[eé]se?|educad[oa]|beleefde?)$/u],
  ['concise', /^(concise(ly)?|succinct(ly)?|knapp\p{L}*|prägnant\p{L}*|concise?s?|concis[oa]|beknopte?)$/u],
  ['humorous', /^(playful(ly)?|humorous(ly)?|witty|humorvoll\p{L}*|drôles?|divertid[oa]|spiritos[oa]|grappige?)$/u],
  ['empathetic', /^(empath(etic|ic)|einfühlsam\p{L}*|empathi(que|sch)\p{L}*|empátic[oa]|empatic[oa])$/u]
]

// "Never be too formal" asks for something else. What is denied stands a few words behind.
const NEGATION = new Set(('not never no don doesn avoid without less nicht kein keine keinen nie ohne pas jamais ' +
  'sans sin nunca non senza niet geen').split(' '))
const REACH = 3

const MAX_STYLES = 3

/** The style of a configuration that names none. */
export const DEFAULT_STYLE = 'friendly'

/** The words for a tone that a brief itself uses, in English, at most three; empty where there are none. */
export function toneIn (brief: string): string {
  const words = brief.toLowerCase().match(/[\p{L}\p{M}]+/gu) ?? []
  const isMeant = (index: number): boolean =>
    !words.slice(Math.max(0, index - REACH), index).some((word) => NEGATION.has(word))
  const found = STYLES.filter(([, pattern]) => words.some((word, index) => pattern.test(word) && isMeant(index)))
  return found.slice(0, MAX_STYLES).map(([style]) => style).join(', ')
}
