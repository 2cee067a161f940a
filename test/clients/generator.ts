import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { cache, run } from '../foreign-tools.ts'

const version = '7.14.0'

/** What the generator says of every document like this one, whatever is in it. */
const expected = [
  // Its Python part says it of each property that is not a reference.
  /ModelUtils - Failed to get the schema name: null$/,
  // Problems are `application/problem+json` (RFC 9457), event streams are `text/event-stream`.
  /ExamplesUtils - No application\/json content media type found in response\./
]

/** The OpenAPI Generator, as Maven hands it out. */
export async function fetchGenerator (): Promise<string> {
  await mkdir(cache, { recursive: true })
  const artifact = `org.openapitools:openapi-generator-cli:${version}`
  await run('mvn', ['-q', '-B', 'dependency:copy', `-Dartifact=${artifact}`, `-DoutputDirectory=${cache}`], { cwd: cache })
  return join(cache, `openapi-generator-cli-${version}.jar`)
}

/** Generates a client into a folder, and gives what the generator has to say against the document. */
export async function generate (jar: string, document: string, settings: string, folder: string): Promise<string[]> {
  const log = await run('java', ['-jar', jar, 'generate', '-i', document, '-c', settings, '-o', folder])
  return log.split('\n').filter((line) => /\b(WARN|ERROR)\b/.test(line) && !expected.some((known) => known.test(line)))
}
