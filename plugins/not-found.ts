import findMyWay, { type HTTPMethod } from 'find-my-way'
import fp from 'fastify-plugin'
import { ApiError } from '../src/errors.ts'

interface Options {
  readonly methodsByUrl: ReadonlyMap<string, ReadonlySet<string>>
  readonly maxParamLength: number
}

const notAllowed = (allow: string) => new ApiError('method_not_allowed', { detail: `This resource knows ${allow}.`, headers: { allow } })

/** Answers 404, or 405 with `allow` where a path is known and the method is not. Registered last, when all routes are known. */
export default fp<Options>(async (fastify, { methodsByUrl, maxParamLength }) => {
  const paths = findMyWay({ maxParamLength })
  const routes = findMyWay({ maxParamLength })
  const allMethods = new Set<string>()
  for (const [url, methods] of methodsByUrl) {
    paths.on('GET', url, () => {}, [...methods].sort().join(', '))
    for (const method of methods) {
      routes.on(method as HTTPMethod, url, () => {})
      allMethods.add(method)
    }
  }

  // A route of the framework for every other method of every path would be a thousand of them with each start, so only those get
  // one that would else be taken for something's identifier. Both refuse before anything is read of a body.
  for (const [url, methods] of methodsByUrl) {
    const mistaken = [...allMethods].filter((method) => !methods.has(method) && routes.find(method as HTTPMethod, url))
    if (mistaken.length === 0) continue
    const refusal = notAllowed([...methods].sort().join(', '))
    fastify.route({
      url,
      method: mistaken,
      config: { scope: 'public', unlimited: true },
      schema: { hide: true },
      onRequest: async () => { throw refusal },
      handler: async () => {}
    })
  }
  const refusalOf = (url: string) => {
    const allow = paths.find('GET', url)?.store as string | undefined
    return allow === undefined ? new ApiError('not_found', { detail: 'There is no such resource.' }) : notAllowed(allow)
  }
  fastify.addHook('onRequest', (request, _reply, next) => {
    if (request.is404) next(refusalOf(request.url))
    else next()
  })
  // Where a plugin's route for all paths has no answer, as that for OPTIONS has none to what is no preflight.
  fastify.setNotFoundHandler((request) => { throw refusalOf(request.url) })
}, { name: 'not-found', dependencies: ['errors'] })
