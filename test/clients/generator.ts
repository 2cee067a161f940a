import { execFile } from 'node:child_process'
import { mkdir } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'

const version = '7.14.0'

/** What is fetched stays here for the next run, outside of the checkout. */
export const cache = join(process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'parley')

/** A program and its arguments. */
export type Command = readonly [program: string, ...args: string[]]

/** What the generator says of every document like this one, whatever is in it. */
const expected = [
  // Its Python part says it of each property that is not a reference.
  /ModelUtils - Failed to get the schema name: null$/,
  // Problems are `application/problem+json` (RFC 9457), event streams are `text/event-stream`.
  /ExamplesUtils - No application\/json content media type found in response\./
]

/** Runs a program and gives all that it prints. What it prints is told when it fails, too. */
export async function run (program: string, args: readonly string[], options: { cwd?: string, env?: Record<string, string> } = {}): Promise<string> {
  try {
    const { stdout, stderr } = await promisify(execFile)(program, args, {
      ...options, env: { ...process.env, ...options.env }, maxBuffer: 64 * 1024 * 1024, timeout: 180_000
    })
    return stdout + stderr
  } catch (error) {
    const { message, stdout, stderr } = error as Error & { stdout: string, stderr: string }
    throw new Error(`${program}: ${[message.split('\n')[0], stdout, stderr].join('\n')}`.trim())
  }
}

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
