import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js'
import addFormats from 'ajv-formats'
import { type Exchange } from './recorder.ts'

interface Parameter { readonly in: 'path' | 'query' | 'header' | 'cookie', readonly name: string, readonly required?: boolean, readonly schema: object }

interface Answer {
  readonly $ref?: string
  readonly headers?: Readonly<Record<string, { readonly $ref: string }>>
  readonly content?: Readonly<Record<string, object>>
}

interface Operation {
  readonly operationId: string
  readonly parameters?: readonly Parameter[]
  readonly requestBody?: { readonly content: Readonly<Record<string, object>> }
  readonly responses: Readonly<Record<string, Answer>>
}

export interface Document {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>
  readonly components: { readonly headers: Readonly<Record<string, { readonly required?: boolean, readonly schema: object }>>, readonly [kind: string]: object }
}

const pointer = (...names: string[]) => `#/${names.map((name) => encodeURIComponent(name.replaceAll('~', '~0').replaceAll('/', '~1'))).join('/')}`
const essence = (type = '') => type.replace(/;.*/, '').trim().toLowerCase()

/** The data of the events that came whole. */
function dataOf (stream: string): string[] {
  const frames = stream.split('\n\n').slice(0, -1)
  return frames.map((frame) => frame.split('\n').filter((line) => line.startsWith('data:')).map((line) => line.slice(5).trim()).join('\n')).filter(Boolean)
}

/** Holds exchanges against an OpenAPI document. */
export class Contract {
  readonly #document: Document
  readonly #openBodies: ReadonlySet<string>
  readonly #ajv = new Ajv2020({ strict: false, allErrors: false, validateSchema: false })
  readonly #validators = new Map<string, ValidateFunction>()
  readonly #seen = new Map<string, Set<string>>()
  /** How many were about operations of the document, and how many asked for what is not there. */
  inside = 0
  outside = 0

  /** `openBodies`: operations that take bodies of other shapes, too. */
  constructor (document: Document, openBodies: ReadonlySet<string> = new Set()) {
    this.#document = document
    this.#openBodies = openBodies
    addFormats.default(this.#ajv)
    this.#ajv.addSchema(document, 'document')
  }

  /** What is wrong with an exchange. */
  faultsOf (exchange: Exchange): string[] {
    const { method, path, status } = exchange
    const operation = path === undefined ? undefined : this.#document.paths[path]?.[method.toLowerCase()]
    if (!operation) {
      // The pages for people are no part of the API, nor is what browsers ask before they ask.
      const isOutside = method === 'OPTIONS' || status === 404 || status === 405 || path?.startsWith('/docs')
      if (isOutside) this.outside++
      return isOutside ? [] : [`${method} ${path}: ${status}, and the document does not know it`]
    }
    this.inside++
    const { operationId, responses } = operation
    const documented = String(status) in responses ? String(status) : 'default'
    const answer = responses[documented]
    const name = `${operationId} ${status}`
    if (!answer) return [`${name}: the document does not have this status: ${exchange.body?.slice(0, 300)}`]
    const seen = this.#seen.get(operationId) ?? new Set()
    this.#seen.set(operationId, seen.add(documented))
    const at = answer.$ref?.slice(2).split('/') ?? ['paths', path!, method.toLowerCase(), 'responses', documented]
    return [
      ...this.#faultsOfHeaders(answer.$ref ? this.#lookUp(at) : answer, exchange),
      ...this.#faultsOfAnswer(at, answer.$ref ? this.#lookUp(at) : answer, exchange),
      ...this.#faultsOfRequest(operation, exchange)
    ].map((fault) => `${name}: ${fault}`)
  }

  /** The answers in the document that have not come. */
  unseen (): string[] {
    return Object.values(this.#document.paths).flatMap((path) => Object.values(path)).flatMap(({ operationId, responses }) =>
      Object.keys(responses).filter((status) => status !== 'default' && !this.#seen.get(operationId)?.has(status)).map((status) => `${operationId} ${status}`))
  }

  #lookUp (names: readonly string[]): Answer {
    return names.reduce<unknown>((value, name) => (value as Record<string, unknown>)[name], this.#document) as Answer
  }

  #faultsOfHeaders ({ headers: documented = {} }: Answer, { headers }: Exchange): string[] {
    return Object.entries(documented).flatMap(([name, { $ref }]) => {
      const value = headers[name]
      const header = $ref.split('/').at(-1)!
      if (value === undefined) return this.#document.components.headers[header]!.required ? [`the header ${name} is missing`] : []
      return this.#faults(['components', 'headers', header, 'schema'], /^\d+$/.test(value) && name !== 'x-request-id' ? Number(value) : value, `the header ${name}`)
    })
  }

  #faultsOfAnswer (at: readonly string[], { content }: Answer, { type, body, status }: Exchange): string[] {
    if (body === undefined) return content && type === undefined ? ['there is no body'] : []
    if (status === 304) return []
    const media = essence(type)
    if (!content?.[media]) return [`the document does not have the type ${type}: ${body.slice(0, 200)}`]
    const place = [...at, 'content', media, 'schema']
    if (media === 'text/event-stream') {
      return dataOf(body).filter((data) => data !== '[DONE]' && data !== '{}').flatMap((data) => this.#faultsOfJson(place, data, 'the event'))
    }
    return /[/+]json$/.test(media) ? this.#faultsOfJson(place, body, 'the answer') : this.#faults(place, body, 'the answer')
  }

  #faultsOfRequest ({ operationId, parameters = [], requestBody }: Operation, { method, path, request }: Exchange): string[] {
    if (!request) return []
    const at = ['paths', path!, method.toLowerCase()]
    const ofParameters = parameters.flatMap(({ in: place, name, required }, i) => {
      const value = place === 'cookie' ? undefined : request.parts[place][name]
      if (value === undefined) return required ? [`taken without ${name} in ${place}`] : []
      return this.#faults([...at, 'parameters', String(i), 'schema'], value, `${name} in ${place}, which was taken,`)
    })
    const known = new Set(parameters.filter((parameter) => parameter.in === 'query').map(({ name }) => name))
    const unknown = Object.keys(request.parts.query).filter((name) => !known.has(name)).map((name) => `taken with ?${name}, which the document does not have`)
    return [...ofParameters, ...unknown, ...(this.#openBodies.has(operationId) ? [] : this.#faultsOfTaken(at, requestBody, request))]
  }

  #faultsOfTaken (at: readonly string[], requestBody: Operation['requestBody'], { type, body }: NonNullable<Exchange['request']>): string[] {
    // A body where none is expected is not looked at.
    if (body === undefined || body === null || !requestBody) return []
    const media = essence(type)
    if (!requestBody.content[media]) return [`taken with a body of type ${type}, which the document does not have`]
    return this.#faults([...at, 'requestBody', 'content', media, 'schema'], body, 'the body that was taken')
  }

  #faultsOfJson (at: readonly string[], text: string, what: string): string[] {
    let value: unknown
    try {
      value = JSON.parse(text)
    } catch {
      return [`${what} is not JSON: ${text.slice(0, 200)}`]
    }
    return this.#faults(at, value, what)
  }

  #faults (at: readonly string[], value: unknown, what: string): string[] {
    const $ref = `document${pointer(...at)}`
    const validate = this.#validators.get($ref) ?? this.#ajv.compile({ $ref })
    this.#validators.set($ref, validate)
    if (validate(value)) return []
    return [`${what} does not fit: ${this.#ajv.errorsText(validate.errors, { dataVar: '' })}: ${JSON.stringify(value).slice(0, 300)}`]
  }
}
