import { runAll } from '../all.ts'

await runAll('embedded-mongo', 'integrations', 'backup', 'retention', 'store', 'mistral-sim', 'secrets', 'outgoing', 'traffic', 'seed')
