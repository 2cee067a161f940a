import { runAll } from '../all.ts'

await runAll('embedded-mongo', 'portability', 'webhooks', 'security')
