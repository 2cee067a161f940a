import { readFileSync } from 'node:fs'

const { version: packageVersion } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as { version: string }

/** The version of this server and of its API document. */
export const version = packageVersion
