import { type FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { guarded, problems } from '../schemas/responses.ts'
import { Id } from '../schemas/text.ts'
import { ExportQuery, ImportQuery, ImportReport, SessionExport, SessionExportQuery, TransferLines } from '../schemas/transfer.ts'
import { Ref, Type, type TSchema } from '../schemas/type.ts'
import { ApiError } from '../src/errors.ts'

const tags = ['transfers']
const NDJSON = 'application/x-ndjson'

/** What is sent as it is made. */
const streamed = (schema: TSchema) => Type.Unsafe<NodeJS.ReadableStream>(schema)

/** Taking conversations from one place to another. */
const transferRoutes: FastifyPluginAsyncTypebox = async (fastify) => {
  const { exporter, importer, sessionExporter } = fastify

  // The lines are read as they come; nothing else is taken here.
  fastify.removeAllContentTypeParsers()
  fastify.addContentTypeParser(NDJSON, (_request, payload, done) => { done(null, payload) })

  fastify.get('/api/sessions/:id/export', {
    config: { scope: ['sessions:read', 'chat'], audit: { action: 'session.exported', only: 'staff-reads' } },
    exposeHeadRoute: false,
    schema: {
      operationId: 'exportSession',
      summary: 'Export a conversation as one document',
      description: 'A reply that is still being written is in it as far as it is.',
      tags,
      params: Type.Object({ id: Id }),
      querystring: SessionExportQuery,
      response: {
        200: {
          description: 'The document.',
          content: {
            'application/json': { schema: streamed(Ref(SessionExport)) },
            'text/markdown': { schema: streamed(Type.String({ description: 'The conversation for people.' })) }
          }
        },
        ...guarded(),
        ...problems(404, 409)
      }
    }
  }, async ({ principal, params, query }, reply) => {
    const { name, mediaType, stream } = await sessionExporter.file(principal, params.id, query)
    reply.type(mediaType).header('content-disposition', `attachment; filename="session-${name}"`)
    return await reply.send(stream)
  })

  fastify.get('/api/export', {
    config: { scope: 'admin', audit: { action: 'export.made' } },
    exposeHeadRoute: false,
    schema: {
      operationId: 'exportAll',
      summary: 'Export conversations, of everybody or of one end user, and the configurations they need',
      description: 'A stream of any size. An export of what has not changed is the same, line by line, except for ' +
        'its time. A failure on the way ends the stream without its last line.',
      tags,
      querystring: ExportQuery,
      response: {
        200: { description: 'The lines.', content: { [NDJSON]: { schema: streamed(Ref(TransferLines)) } } },
        ...guarded()
      }
    }
  }, async ({ principal, query }, reply) => await reply
    .type(NDJSON)
    .header('content-disposition', 'attachment; filename="parley-export.ndjson"')
    .send(exporter.export(principal, query)))

  fastify.post('/api/import', {
    config: { scope: 'admin', streamsBody: true, repeatable: true, audit: { action: 'import.made' } },
    schema: {
      operationId: 'importAll',
      summary: 'Import what was exported elsewhere',
      description: 'Everything keeps its id. What is there already is left as it is, so that an import that was cut ' +
        'off can be sent again. Threads of OpenAI\'s Assistants API become sessions of the configuration `configId`; each thread is ' +
        'followed by its messages, in any order, and is known again by its id. A line that does not fit ends it with 400 and its number, an id that is taken with 409; ' +
        'what came before stays.',
      tags,
      consumes: [NDJSON],
      querystring: ImportQuery,
      body: { content: { [NDJSON]: { schema: Ref(TransferLines) } } },
      response: { 200: Ref(ImportReport), ...guarded(), ...problems(409, 415) }
    }
  }, async ({ principal, body, query }, reply) => {
    try {
      return await importer.import(principal, body as AsyncIterable<Buffer> | undefined, query.configId)
    } catch (error) {
      // What may still be on its way is not waited for.
      if (error instanceof ApiError) reply.header('connection', 'close')
      throw error
    }
  })
}

export default transferRoutes
