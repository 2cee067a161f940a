import { readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { firstKeyFile } from '../auth/first-key.ts'
import { type Config, loadConfig } from '../config.ts'
import { Seeder, SeedError, type Seeded } from './seeder.ts'

const usage = `npm run seed [-- <address>]      puts a demonstration into a server that runs, by default the one of this environment
npm run seed -- --beside-others  the same where there are chatbots already

The key is PARLEY_API_KEY, else BOOTSTRAP_API_KEY, else the one in DATA_DIR/api-key. What is there already stays as it is.
`

type Environment = Readonly<Record<string, string | undefined>>

interface Key {
  readonly key: string
  /** What a shell reads it by: it is never printed. */
  readonly told: string
}

async function keyOf (env: Environment, config: Config): Promise<Key> {
  for (const name of ['PARLEY_API_KEY', 'BOOTSTRAP_API_KEY']) {
    const key = env[name]
    if (key) return { key, told: `$${name}` }
  }
  const file = resolve(firstKeyFile(config))
  try {
    return { key: (await readFile(file, 'utf8')).trim(), told: `$(cat '${file}')` }
  } catch (cause) {
    throw new SeedError(`there is no key in ${file}. Start Parley first, or set PARLEY_API_KEY.`, { cause })
  }
}

/** What to try with the demonstration, for a shell. */
function nextSteps (url: string, key: string, { configs, sessions }: Seeded): string {
  const ask = `curl -s -H "X-API-Key: ${key}"`
  return [
    `# There are ${configs.length} chatbots with ${sessions.length} conversations at ${url}:`,
    ...configs.map(({ id, name }) => `#   ${id}  ${name}`),
    '# Who talked to the first one:',
    `${ask} '${url}/api/sessions?configId=${configs[0]!.id}'`,
    '# What was said, and what was thought of it:',
    `${ask} '${url}/api/sessions/${sessions[0]}/messages'`,
    `${ask} '${url}/api/feedback'`,
    '# Where something was said about repairs:',
    `${ask} '${url}/api/messages/search?q=repairs'`,
    '# Say something, and see the reply as it is written:',
    `${ask} -N -H 'Accept: text/event-stream' -H 'Content-Type: application/json' '${url}/api/sessions/${sessions[0]}/messages' -d '{"message":"When are you open?"}'`,
    `# All there is: ${url}/docs`
  ].join('\n')
}

/** Does what `npm run seed` is asked for, and answers the code that it ends with. */
export async function runCommand (args: string[], env: Environment, say: (line: string) => void, complain: (line: string) => void): Promise<0 | 1 | 2> {
  let address: string | undefined
  let besideOthers: boolean
  try {
    const { values, positionals } = parseArgs({ args, allowPositionals: true, options: { 'beside-others': { type: 'boolean', default: false } } })
    if (positionals.length > 1) throw new TypeError('One address at most.')
    address = positionals[0]
    besideOthers = values['beside-others']
    if (address !== undefined && !/^https?:\/\/[^/?#\s']+\/?$/.test(address)) throw new TypeError('The address is one like http://127.0.0.1:3000.')
  } catch (error) {
    complain(`${(error as Error).message}\n\n${usage}`)
    return 2
  }
  try {
    const config = loadConfig(env)
    const url = address?.replace(/\/$/, '') ?? `http${config.TLS_CERT === undefined ? '' : 's'}://127.0.0.1:${config.PORT}`
    const { key, told } = await keyOf(env, config)
    // What cannot be sent would be told as nobody's answer.
    if (!/^[\x21-\x7E]+$/.test(key)) throw new SeedError('the key is none.')
    say(nextSteps(url, told, await new Seeder(url, key).seed(besideOthers)))
    return 0
  } catch (error) {
    complain(`nothing more was seeded: ${(error as Error).message}`)
    return 1
  }
}
