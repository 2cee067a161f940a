import { runAll } from '../all.ts'

await runAll(import.meta.dirname)
