import fp from 'fastify-plugin'
import { RemoteKeys } from '../src/auth/remote-keys.ts'
import { type Config } from '../src/config.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /** Undefined: tokens of no issuer elsewhere are taken. */
    remoteKeys: RemoteKeys | undefined
  }
}

const TIMEOUT_MS = 5000
const MAX_CHARS = 262_144

/** Reads a JSON document of bounded size. */
async function readJson (url: string, signal: AbortSignal): Promise<unknown> {
  const response = await fetch(url, { signal, redirect: 'error', headers: { accept: 'application/json, application/jwk-set+json' } })
  if (!response.ok || !response.body) throw new Error(`answered with ${response.status}`)
  let text = ''
  for await (const piece of response.body.pipeThrough(new TextDecoderStream())) {
    text += piece
    if (text.length > MAX_CHARS) throw new Error('the answer is too large')
  }
  return JSON.parse(text)
}

/** The keys of the issuer elsewhere whose tokens are taken. */
export default fp<{ config: Config }>(async (fastify, { config }) => {
  const { JWT_JWKS_URL: url } = config
  if (url === undefined) {
    fastify.decorate('remoteKeys', undefined)
    return
  }
  const closing = new AbortController()
  fastify.addHook('onClose', async () => closing.abort())
  const fetchSet = async () => await readJson(url, AbortSignal.any([closing.signal, AbortSignal.timeout(TIMEOUT_MS)]))
  fastify.decorate('remoteKeys', new RemoteKeys(fetchSet, fastify.log))
}, { name: 'jwks' })
