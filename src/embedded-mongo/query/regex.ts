import { CommandError } from '../errors.ts'

const MAX_PATTERN = 32764

/**
 * A PCRE pattern as a JavaScript one: the options i, m, s, x, u, and a leading (?i). JavaScript has no possessive
 * quantifiers or atomic groups; a pattern with them is refused as invalid (51091).
 */
export function compileRegExp (pattern: string, options: string): RegExp {
  if (pattern.length > MAX_PATTERN) throw new CommandError(51091, 'Regular expression is too long')
  const unknown = /[^imsxu]/.exec(options)
  if (unknown !== null) throw new CommandError(51108, `invalid flag in regex options: ${unknown[0]}`)
  const inline = /^\(\?([imsx]+)\)/.exec(pattern)
  const flags = new Set(options + (inline?.[1] ?? ''))
  const body = inline === null ? pattern : pattern.slice(inline[0].length)
  const source = flags.has('x') ? withoutComments(body) : body
  const jsFlags = ['i', 'm', 's'].filter((flag) => flags.has(flag)).join('')
  try {
    return new RegExp(source, `${jsFlags}u`)
  } catch {
    return lenient(source, jsFlags)
  }
}

/** PCRE takes escapes that JavaScript's unicode mode refuses (`\-`, `\_`). */
function lenient (source: string, flags: string): RegExp {
  try {
    return new RegExp(source, flags)
  } catch (error) {
    throw new CommandError(51091, `Regular expression is invalid: ${error instanceof Error ? error.message : ''}`)
  }
}

/** The extended syntax: white space and # comments outside classes do not count. */
function withoutComments (source: string): string {
  return source.replace(/(\\.|\[(?:\\.|[^\]])*\])|\s+|#[^\n]*/g, (_, kept: string | undefined) => kept ?? '')
}

/** The literal text every match of a case-sensitive `^…` pattern starts with; empty when there is none. */
export function literalPrefix (pattern: string, options: string): string {
  if (!pattern.startsWith('^') || /[imx]/.test(options) || pattern.includes('|')) return ''
  const literal = /^\^((?:[^\\^$.[\]|()?*+{}#\s])*)/.exec(pattern)?.[1] ?? ''
  // A quantifier makes the last character optional.
  return /[?*{]/.test(pattern.charAt(1 + literal.length)) ? literal.slice(0, -1) : literal
}
