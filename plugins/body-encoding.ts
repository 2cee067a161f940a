import fp from 'fastify-plugin'
import { ApiError } from '../src/errors.ts'

const CHARSET = /;\s*charset\s*=\s*"?([^";\s]*)/i
const isUnicode = (charset: string) => /^(utf-?8|us-ascii)$/i.test(charset)

/** Bodies are UTF-8 and come as they are. What says of itself that it is something else is refused before it is taken for that. */
export default fp(async (fastify) => {
  fastify.addHook('preParsing', (request, _reply, _payload, done) => {
    const { 'content-encoding': coding = 'identity', 'content-type': type = '' } = request.headers
    if (coding.toLowerCase() !== 'identity') {
      return done(new ApiError('unsupported_media_type', { detail: 'The body is compressed.', headers: { 'accept-encoding': 'identity' } }))
    }
    const charset = CHARSET.exec(type)?.[1]
    if (charset !== undefined && !isUnicode(charset)) {
      return done(new ApiError('unsupported_media_type', { detail: 'The body is not in UTF-8.' }))
    }
    done()
  })
}, { name: 'body-encoding' })
