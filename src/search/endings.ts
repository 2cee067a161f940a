// No language is told from another: a message of three words does not tell its own. These are the inflections of the
// European languages, each taken off only where enough of the word is left, so that few different words become one.
// Accents are gone by now: "й" is "и" here.
const LATIN = /(?<=.{4})(?:ing|ung|ern|e[dmnrs]|ar|ly|(?<!s)s|[aeiouy])$/
const LATIN_PLURAL = /(?<=[sxz]|[cs]h)es$|(?<=^..[^aeious])s$/
const LATIN_Y = /(?<=..)ie[sd]$/
const CYRILLIC =
  /(?<=.{3})(?:[ая]ми|[оеы]го|[оеы]му|[ыи]ми|[ое]в|[оеиы]и|[ая]я|[оеы]е|[уюое]ю|[оеая]м|[ыиая]х|[аеиоуыьэюяі])$/
const GREEK = /(?<=.{3})(?:ουσ|εισ|ων|[εοαηι]σ|οι|ου|[αεηιο])$/
const DOUBLE = /([^aeiouy\d])\1$/
// "orderings" has two endings, "deliverers" three.
const MAX_ENDINGS = 3
const SHORTEST = 4

const FIRST_GREEK = 0x370
const FIRST_CYRILLIC = 0x400
const FIRST_ARMENIAN = 0x530

/** Takes the inflection off a word in lower case without accents, so that its forms become one. */
export function withoutEnding (word: string): string {
  const last = word.charCodeAt(word.length - 1)
  if (word.length < SHORTEST || last >= FIRST_ARMENIAN) return word
  if (last >= FIRST_CYRILLIC) return word.replace(CYRILLIC, '')
  if (last >= FIRST_GREEK) return word.replace(GREEK, '')
  let rest = word.replace(LATIN_Y, 'y').replace(LATIN_PLURAL, '')
  for (let endings = 0; endings < MAX_ENDINGS && LATIN.test(rest); endings++) rest = rest.replace(LATIN, '')
  return rest.replace(DOUBLE, '$1')
}
