import { fileURLToPath } from 'node:url'

const here = (path) => fileURLToPath(new URL(path, import.meta.url))
const types = (response) => Object.keys(response?.content ?? {})

/**
 * What the generated part is to leave to `src/parley.ts`: streams of Parley's own, which the generator's client begins anew after any
 * failure, even a 404, and hands out without the names of the events. A send is then one that waits for its reply.
 */
function withoutStreams (document) {
  for (const path of Object.values(document.paths)) {
    for (const [method, operation] of Object.entries(path)) {
      const { responses } = operation
      const found = types(responses['200'])
      if (!found.includes('text/event-stream')) continue
      if (found.length === 1) delete path[method]
      if (responses['202']) {
        delete responses['202']
        operation.parameters = operation.parameters.filter(({ name }) => name !== 'prefer')
      }
    }
  }
}

function adapt (document) {
  withoutStreams(document)
  // A file of lines has no schema of its own; the client reads and writes it as a text.
  document.components.schemas.TransferLines.type = 'string'
}

export default {
  input: here('../../openapi.json'),
  output: { path: here('src/generated'), module: { extension: '.js' } },
  logs: { file: false },
  parser: { patch: { input: adapt } },
  plugins: [
    { name: '@hey-api/client-fetch', throwOnError: true },
    '@hey-api/typescript',
    { name: '@hey-api/sdk', responseStyle: 'data', operations: { strategy: 'single', containerName: 'Operations' } }
  ]
}
