// C: what Node itself can do. node:http in, undici's dispatch out, bytes passed on as they come.
import { createServer } from 'node:http'
import { Pool } from 'undici'

const pool = new Pool(process.env['UPSTREAM']!, { connections: 256, pipelining: 1 })

createServer((request, response) => {
  const chunks: Buffer[] = []
  request.on('data', (chunk: Buffer) => chunks.push(chunk)).on('end', () => {
    pool.dispatch({ method: 'POST', path: '/v1/chat/completions', headers: { 'content-type': 'application/json' }, body: Buffer.concat(chunks) }, {
      onRequestStart () {},
      onResponseStart (_controller, status, headers) {
        for (const name of ['content-type', 'content-length']) {
          const value = headers[name]
          if (value !== undefined) response.setHeader(name, value)
        }
        response.writeHead(status)
      },
      onResponseData (_controller, chunk) { response.write(chunk) },
      onResponseEnd () { response.end() },
      onResponseError (_controller, error) { response.destroy(error) }
    })
  })
}).listen(Number(process.env['PORT']), '127.0.0.1')
