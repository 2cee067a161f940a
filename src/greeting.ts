import { resolve } from 'node:path'
import { firstKeyFile } from './auth/first-key.ts'
import { type Config } from './config.ts'

const firstId = '| grep -o \'"id":"[^"]*\' | head -n 1 | cut -d \'"\' -f 4'

/**
 * Three lines to paste into a shell that hold a conversation. They read the key from where it is kept: a key that was given
 * from outside is never printed.
 */
export function greeting (config: Config, url: string): string {
  const key = config.BOOTSTRAP_API_KEY === undefined ? `$(cat '${resolve(firstKeyFile(config))}')` : '$BOOTSTRAP_API_KEY'
  const post = `curl -s -H "X-API-Key: ${key}" -H "Content-Type: application/json"`
  const bot = JSON.stringify({ purpose: 'Answer questions about orders.', instructions: 'Orders ship within two days. Returns are free for 30 days.' })
  return [
    `CONFIG=$(${post} ${url}/api/configs -d '${bot}' ${firstId})`,
    `SESSION=$(${post} ${url}/api/sessions -d "{\\"configId\\":\\"$CONFIG\\"}" ${firstId})`,
    `${post} ${url}/api/sessions/$SESSION/messages -d '{"message":"When will my order ship?"}'`
  ].join('\n')
}
