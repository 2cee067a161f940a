import { Draft } from '../../schemas/specification.ts'
import { languageTag } from '../chatbots/language.ts'
import { shorten } from './shorten.ts'
import { storableText } from './storable-text.ts'
import { DEFAULT_STYLE } from './tone-words.ts'

/** A draft within the limits of a configuration, or what keeps an answer from being one, in words for the model. */
export type FittedDraft = { readonly draft: Draft } | { readonly problem: string }

const { name, purpose, domain, tone, instructions } = Draft.properties
const NAME_CHARS = 60
const CODE_FENCE = /^```\w*\s*([\s\S]*?)\s*```$/u

/**
 * Makes a draft of what a model wrote, as far as that is possible without guessing: what is around the JSON is left
 * out, and members that nobody asked for; what is too long is cut, lists and texts that stand for each other are taken.
 * `language`: what the bot speaks where the model names no language that there is.
 */
export function fitDraft (answer: string, language: string): FittedDraft {
  const written = readObject(answer)
  if (!written) return { problem: 'it is not one JSON object' }
  const said = {
    name: textOf(written['name']),
    purpose: textOf(written['purpose']),
    instructions: textOf(written['instructions'], '\n')
  }
  if (!said.purpose) return { problem: 'the member "purpose" is not a text, or it is blank' }
  if (said.instructions === undefined) return { problem: 'the member "instructions" is not a text' }
  return {
    draft: {
      name: shorten((said.name || shorten(said.purpose, NAME_CHARS)).replace(/\s+/gu, ' '), name.maxLength!),
      purpose: shorten(said.purpose, purpose.maxLength!),
      domain: fitDomain(written['domain']),
      tone: fitTone(written['tone'], language),
      instructions: shorten(said.instructions, instructions.maxLength!)
    }
  }
}

function readObject (answer: string): Record<string, unknown> | undefined {
  const bare = answer.trim().replace(CODE_FENCE, '$1')
  const [start, end] = [bare.indexOf('{'), bare.lastIndexOf('}')]
  try {
    const value: unknown = JSON.parse(bare.slice(Math.max(start, 0), end + 1))
    return isObject(value) ? value : undefined
  } catch {
    return undefined
  }
}

function isObject (value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** A text, or a list of texts as one; undefined for anything else. */
function textOf (value: unknown, separator = ', '): string | undefined {
  if (typeof value === 'string') return storableText(value)
  if (!Array.isArray(value) || !value.every((item) => typeof item === 'string')) return undefined
  return storableText(value.join(separator))
}

function fitDomain (value: unknown): string[] {
  const items: unknown[] = typeof value === 'string' ? value.split(/[,;\n]/u) : Array.isArray(value) ? value : []
  const labels = items.map((item) => textOf(item) ?? '').filter((label) => label !== '')
  return [...new Set(labels.map((label) => shorten(label, domain.items.maxLength!)))].slice(0, domain.maxItems)
}

function fitTone (value: unknown, otherwise: string): Draft['tone'] {
  const { style, language } = isObject(value) ? value : { style: value }
  return {
    style: shorten(textOf(style) || DEFAULT_STYLE, tone.properties.style.maxLength!),
    language: (typeof language === 'string' ? languageTag(language) : undefined) ?? otherwise
  }
}
