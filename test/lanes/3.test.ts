import { runAll } from '../all.ts'

await runAll('portability', 'webhooks', 'security')
