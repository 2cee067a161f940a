import { randomBytes } from 'node:crypto'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { ConfigError, type Config } from '../config.ts'
import { keysOfSet, secretKey, signingKeyOf, type PublicJwk, type SigningKey } from './jwt-keys.ts'

/** What this server signs its tokens with and checks them against. The first key signs. */
export interface OwnKeys {
  readonly keys: readonly SigningKey[]
  readonly published: readonly PublicJwk[]
}

async function readKeysFile (path: string): Promise<ReturnType<typeof signingKeyOf>[]> {
  const refuse = (why: string) => new ConfigError(`JWT_KEYS_FILE cannot be used (${why}). A JSON Web Key Set with private keys.`)
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch (error) {
    throw refuse(String((error as NodeJS.ErrnoException).code))
  }
  // What is wrong with it is told without what is in it.
  let set: unknown
  try {
    set = JSON.parse(text)
  } catch {
    throw refuse('it is not JSON')
  }
  const keys = keysOfSet(set)
  if (!keys || keys.length === 0) throw refuse('it holds no keys')
  try {
    const read = keys.map(signingKeyOf)
    if (new Set(read.map(({ key }) => key.kid)).size < read.length) throw new Error('two keys have one kid')
    return read
  } catch (error) {
    throw refuse(/^(a|an|two) /.test((error as Error).message) ? (error as Error).message : 'a key has no private part, or a broken one')
  }
}

/** A secret of this server's own, made once and kept beside its data. */
async function keptSecret ({ DATA_DIR }: Config): Promise<string> {
  const file = join(DATA_DIR, 'jwt-secret')
  await mkdir(DATA_DIR, { recursive: true, mode: 0o700 })
  try {
    await writeFile(file, `${randomBytes(32).toString('base64url')}\n`, { mode: 0o600, flag: 'wx' })
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
  }
  return (await readFile(file, 'utf8')).trim()
}

/** The keys that the configuration names. With none, production has none, and elsewhere a secret is made. */
export async function loadOwnKeys (config: Config): Promise<OwnKeys> {
  const { JWT_SECRET, JWT_KEYS_FILE, NODE_ENV } = config
  const fromFile = JWT_KEYS_FILE === undefined ? [] : await readKeysFile(JWT_KEYS_FILE)
  const keys = [...fromFile.map(({ key }) => key), ...JWT_SECRET === undefined ? [] : [secretKey(JWT_SECRET)]]
  if (keys.length === 0 && NODE_ENV !== 'production') keys.push(secretKey(await keptSecret(config)))
  return { keys, published: fromFile.map(({ published }) => published) }
}
