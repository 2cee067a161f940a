import { runAll } from '../all.ts'

await runAll('routes', 'assist', 'accounts', 'search', 'usage')
