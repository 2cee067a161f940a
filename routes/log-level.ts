import { type FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { LogLevel } from '../schemas/log-level.ts'
import { guarded, problems } from '../schemas/responses.ts'
import { Ref, Type, closed } from '../schemas/type.ts'

const tags = ['operations']
const querystring = Type.Object({}, closed)

/** How much is written to the log, for whoever runs this server. */
const logLevelRoutes: FastifyPluginAsyncTypebox = async (fastify) => {
  const { logLevel } = fastify

  fastify.get('/api/admin/log-level', {
    config: { scope: 'platform' },
    schema: {
      operationId: 'getLogLevel',
      summary: 'Read how much is written to the log',
      description: 'As the replica has it that answers.',
      tags,
      querystring,
      response: { 200: Ref(LogLevel), ...guarded() }
    }
  }, async () => ({ level: logLevel.get() }))

  fastify.put('/api/admin/log-level', {
    config: { scope: 'platform', audit: { action: 'log-level.updated', before: async () => ({ level: logLevel.get() }) } },
    schema: {
      operationId: 'setLogLevel',
      summary: 'Set how much is written to the log',
      description: 'On the replica that answers at once, on the others within seconds. A server that is started anew begins with `LOG_LEVEL`.',
      tags,
      querystring,
      body: Ref(LogLevel),
      response: { 200: Ref(LogLevel), ...guarded(), ...problems(413, 415) }
    }
  }, async ({ body }) => {
    logLevel.set(body.level)
    return body
  })
}

export default logLevelRoutes
