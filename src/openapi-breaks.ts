import { holdAgainstHistory, report } from './contract/breaks/history.ts'

// Whether `openapi.json` keeps what its version promises to the clients of earlier ones.
const { holds, text } = report(await holdAgainstHistory(new URL('..', import.meta.url).pathname))
console.log(text)
process.exitCode = holds ? 0 : 1
