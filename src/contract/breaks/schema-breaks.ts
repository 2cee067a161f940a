import { type Document, nameOf, resolved, type Schema } from '../document.ts'

/** Who sends the value: a client, whose old ones must still be taken, or the server, whose new ones must be what clients know. */
export type Direction = 'request' | 'response'

/** Keywords that say nothing about which values there are. */
const silent = /^(\$id|title|description|examples?|default|deprecated|readOnly|writeOnly|x-(?!maxJsonBytes$).*)$/
/** Keywords with a rule of their own below. */
const ruled = new Set(['type', 'enum', 'const', 'properties', 'required', 'additionalProperties', 'items', 'anyOf', 'oneOf', 'format'])
const atLeast = new Set(['minimum', 'exclusiveMinimum', 'minLength', 'minItems', 'minProperties'])
const atMost = new Set(['maximum', 'exclusiveMaximum', 'maxLength', 'maxItems', 'maxProperties', 'x-maxJsonBytes'])
/** What may change in an answer: that it gets longer or larger is no break, or no limit could ever be raised. */
const onlyRequests = new Set([...atLeast, ...atMost, 'pattern', 'uniqueItems', 'multipleOf', 'propertyNames'])

const alternativesOf = ({ anyOf, oneOf, ...rest }: Schema): readonly Schema[] => (anyOf ?? oneOf)?.map((one) => ({ ...rest, ...one })) ?? [rest]
const typesOf = ({ type }: Schema): readonly string[] | undefined => type === undefined ? undefined : [type].flat()
const valuesOf = (schema: Schema): readonly unknown[] | undefined => 'const' in schema ? [schema.const] : schema.enum
const kindOf = (schema: Schema) => nameOf(schema) ?? typesOf(schema)?.join() ?? 'any value'
const told = (value: unknown) => JSON.stringify(value)
const same = (a: unknown, b: unknown) => told(a) === told(b)

/** What clients of a document miss in the schemas of a later one. */
export class SchemaBreaks {
  readonly #before: Document
  readonly #after: Document
  /** By direction and names of components: each pair is compared once. */
  readonly #known = new Map<string, string[]>()

  constructor (before: Document, after: Document) {
    this.#before = before
    this.#after = after
  }

  compare (old: Schema, now: Schema, direction: Direction, at: string): string[] {
    const names = [nameOf(old), nameOf(now)]
    if (names.every((name) => name === undefined)) return this.#compare(old, now, direction, at)
    const key = [direction, ...names, ...names.includes(undefined) ? [at] : []].join(' ')
    const known = this.#known.get(key)
    if (known) return known
    // A component that holds itself is as good as its other parts.
    this.#known.set(key, [])
    const breaks = this.#compare(resolved(this.#before, old), resolved(this.#after, now), direction, names[0] ?? at)
    this.#known.set(key, breaks)
    return breaks
  }

  #compare (old: Schema, now: Schema, direction: Direction, at: string): string[] {
    const [olds, nows] = [alternativesOf(old), alternativesOf(now)]
    if (olds.length === 1 && nows.length === 1) return this.#compareSingle(olds[0]!, nows[0]!, direction, at)
    const isRequest = direction === 'request'
    const [inner, outer] = isRequest ? [olds, nows] : [nows, olds]
    return inner.flatMap((one) => {
      const trials = outer.map((other) => {
        const breaks = isRequest ? this.compare(one, other, direction, at) : this.compare(other, one, direction, at)
        return { breaks, isKin: kindOf(one) === kindOf(other) }
      })
      if (trials.some(({ breaks }) => breaks.length === 0)) return []
      const [closest] = trials.filter(({ isKin }) => isKin).sort((a, b) => a.breaks.length - b.breaks.length)
      return closest?.breaks ?? [says(direction, at, isRequest ? `${kindOf(one)} is not taken any more` : `may be ${kindOf(one)} now`)]
    })
  }

  #compareSingle (old: Schema, now: Schema, direction: Direction, at: string): string[] {
    if (nameOf(old) !== undefined || nameOf(now) !== undefined) return this.compare(old, now, direction, at)
    return [
      ...typeBreaks(old, now, direction),
      ...valueBreaks(old, now, direction),
      ...formatBreaks(old, now, direction),
      ...(direction === 'request' && old.default !== undefined && !same(old.default, now.default) ? [`has another default than ${told(old.default)}`] : []),
      ...keywordBreaks(old, now, direction),
      ...requiredBreaks(old, now, direction)
    ].map((what) => says(direction, at, what)).concat(this.#membersBreaks(old, now, direction, at), this.#itemsBreaks(old, now, direction, at))
  }

  #membersBreaks (old: Schema, now: Schema, direction: Direction, at: string): string[] {
    const members = Object.entries(old.properties ?? {}).flatMap(([name, schema]) => {
      const other = now.properties?.[name]
      return other ? this.compare(schema, other, direction, `${at}/${name}`) : [says(direction, `${at}/${name}`, 'is gone')]
    })
    return [...members, ...this.#otherMembersBreaks(old, now, direction, at)]
  }

  /** Members without a name in the schema. Those of answers are open to growth, unless they all are of one kind. */
  #otherMembersBreaks ({ additionalProperties: old = true }: Schema, { additionalProperties: now = true }: Schema, direction: Direction, at: string): string[] {
    if (typeof old === 'object' && typeof now === 'object') return this.compare(old, now, direction, `${at}/*`)
    const [inner, outer] = direction === 'request' ? [old, now] : [now, old]
    if (direction === 'request' && inner !== false && outer === false) return [says(direction, at, 'does not take other members any more')]
    return inner === true && typeof outer === 'object' ? [says(direction, `${at}/*`, 'is of another kind')] : []
  }

  #itemsBreaks ({ items: old }: Schema, { items: now }: Schema, direction: Direction, at: string): string[] {
    if (old && now) return this.compare(old, now, direction, `${at}[]`)
    return (direction === 'request' ? now : old) ? [says(direction, `${at}[]`, 'is of another kind')] : []
  }
}

const says = (direction: Direction, at: string, what: string) => `${at} ${what} (in ${direction}s)`

function typeBreaks (old: Schema, now: Schema, direction: Direction): string[] {
  const [inner, outer] = direction === 'request' ? [typesOf(old), typesOf(now)] : [typesOf(now), typesOf(old)]
  const fits = (type: string) => !outer || outer.includes(type) || (type === 'integer' && outer.includes('number'))
  if (!inner) return outer ? [direction === 'request' ? `must be ${outer.join(' or ')} now` : 'may be anything now'] : []
  return inner.filter((type) => !fits(type)).map((type) => direction === 'request' ? `may not be ${type} any more` : `may be ${type} now`)
}

function valueBreaks (old: Schema, now: Schema, direction: Direction): string[] {
  // Whoever was told that there will be others is ready for them.
  if (direction === 'response' && 'x-extensible-enum' in old) return []
  const [inner, outer] = direction === 'request' ? [valuesOf(old), valuesOf(now)] : [valuesOf(now), valuesOf(old)]
  if (!outer) return []
  if (!inner) return [direction === 'request' ? `must be one of ${outer.map(told).join()} now` : 'may be any word now']
  return inner.filter((value) => !outer.some((other) => same(value, other)))
    .map((value) => direction === 'request' ? `may not be ${told(value)} any more` : `may be ${told(value)} now`)
}

/** Generators make a type of a format, so one that was promised stays. */
function formatBreaks ({ format: old }: Schema, { format: now }: Schema, direction: Direction): string[] {
  const promised = direction === 'request' ? now : old
  return promised === undefined || old === now ? [] : [`has the format ${told(now ?? null)} and not ${told(old ?? null)}`]
}

function requiredBreaks ({ required: old = [] }: Schema, { required: now = [] }: Schema, direction: Direction): string[] {
  const [before, after] = direction === 'request' ? [now, old] : [old, now]
  return before.filter((name) => !after.includes(name)).map((name) => direction === 'request' ? `must have ${name} now` : `may be without ${name} now`)
}

function narrows (keyword: string, old: unknown, now: unknown): boolean {
  if (now === undefined || now === false) return false
  if (old === undefined) return true
  if (atLeast.has(keyword)) return (now as number) > (old as number)
  if (atMost.has(keyword)) return (now as number) < (old as number)
  return !same(old, now)
}

/** All other keywords: one without a rule must stay as it is. */
function keywordBreaks (old: Schema, now: Schema, direction: Direction): string[] {
  const keywords = [...new Set([...Object.keys(old), ...Object.keys(now)])].filter((keyword) => !silent.test(keyword) && !ruled.has(keyword))
  return keywords.filter((keyword) => onlyRequests.has(keyword)
    ? direction === 'request' && narrows(keyword, old[keyword], now[keyword])
    : !same(old[keyword], now[keyword])
  ).map((keyword) => `has ${keyword} ${told(now[keyword] ?? null)} and not ${told(old[keyword] ?? null)}`)
}
