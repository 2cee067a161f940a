import { readFile } from 'node:fs/promises'
import { type Document } from './contract.ts'
import { openBodies, unseen } from './exceptions.ts'
import { check } from './folder.ts'

// Holds what the tests have recorded in a folder against the document that is kept with the code.
const [folder] = process.argv.slice(2)
if (folder === undefined) throw new Error('Which folder? npm run check:traffic <folder>')

const document = JSON.parse(await readFile(new URL('../../openapi.json', import.meta.url), 'utf8')) as Document
const { faults, missing, expectable, summary } = await check(folder, document, unseen, openBodies)
for (const fault of faults) console.log(fault)
for (const name of missing) console.log(`${name}: documented and not seen`)
for (const name of expectable) console.log(`${name}: seen, so it need not be an exception (test/traffic/exceptions.ts)`)
console.log(summary)
process.exitCode = faults.length + missing.length === 0 ? 0 : 1
