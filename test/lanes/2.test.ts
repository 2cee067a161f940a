import { runAll } from '../all.ts'

await runAll('plugins', 'chat', 'oauth', 'openai', 'llm', 'jobs', '.')
