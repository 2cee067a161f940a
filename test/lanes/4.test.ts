import { runAll } from '../all.ts'

await runAll('integrations', 'backup', 'retention', 'store', 'mistral-sim', 'secrets', 'outgoing', 'traffic', 'seed')
