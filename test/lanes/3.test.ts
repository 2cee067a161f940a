import { runAll } from '../all.ts'

await runAll('embedded-mongo', 'security', 'portability', 'webhooks')
