import { type Document, type Link, type Operation, type Response, resolved, type Schema } from './document.ts'

const paramsOf = (path: string) => [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name!)

interface Place {
  readonly path: string
  readonly operation: Operation
}

/** What an answer names: the place of such things, up to their identifier, and where in the answer this is. */
interface Named {
  readonly place: string
  readonly at: (target: Operation) => string
}

const MESSAGE = '/api/sessions/{id}/messages/{messageId}'

const takes = ({ requestBody }: Operation, component: string) => JSON.stringify(requestBody?.content ?? {}).includes(`/${component}"`)

function namedBy (document: Document, path: string, { content = {} }: Response): Named[] {
  const answer = content['application/json']?.schema
  const members = answer && resolved(document, answer).properties
  if (!members) return []
  // What is said anew is what the user said, and all else is about the reply.
  if (members['botMessage']) return [{ place: MESSAGE, at: (target) => takes(target, 'MessageInput') ? '/userMessage/id' : '/botMessage/id' }]
  const items = members['nextCursor'] && resolved(document, members['data']?.items ?? {})
  const within: NonNullable<Schema['properties']> = items?.properties ?? members
  const places = Object.keys(document.paths).filter((other) => other.startsWith(`${path}/{`)).map((other) => other.slice(0, other.indexOf('}', path.length) + 1))
  return [...new Set(places)].flatMap((place) => {
    const member = [paramsOf(place).at(-1)!, 'id'].find((name) => within[name])
    return member === undefined ? [] : [{ place, at: () => `${items ? '/data/0' : ''}/${member}` }]
  })
}

const description = 'With what this answer names.'

function linksOf (document: Document, all: readonly Place[], { path, operation }: Place, response: Response): Record<string, Link> {
  const links: Record<string, Link> = {}
  for (const { place, at } of namedBy(document, path, response)) {
    for (const target of all) {
      const { operationId } = target.operation
      const params = paramsOf(target.path)
      const isAbout = `${target.path}/`.startsWith(`${place}/`) && params.length === paramsOf(place).length
      if (!isAbout || operationId === operation.operationId) continue
      const values = params.map((name, i) => [name, i === params.length - 1 ? `$response.body#${at(target.operation)}` : `$request.path.${name}`])
      links[operationId] = { operationId, parameters: Object.fromEntries(values) as Record<string, string>, description }
    }
  }
  return links
}

/**
 * Links each answer that names something to the operations on it: for readers, and for tests that walk along them. They are told
 * from the paths: what `POST /things` makes is what `/things/{id}` is about.
 */
export function tellLinks (document: Document): void {
  const all = Object.entries(document.paths).flatMap(([path, methods]) => Object.values(methods).map((operation) => ({ path, operation })))
  for (const place of all) {
    for (const [status, response] of Object.entries(place.operation.responses)) {
      const links = status.startsWith('2') ? linksOf(document, all, place, response) : {}
      if (Object.keys(links).length > 0) response.links = links
    }
  }
}
