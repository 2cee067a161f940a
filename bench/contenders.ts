import { randomBytes } from 'node:crypto'
import { SignJWT } from 'jose'
import { newApiKey } from '../src/auth/api-key.ts'
import { type Ask } from './load.ts'

export interface Place {
  readonly upstream: string
  readonly storeUri: string
  /** An empty folder. */
  readonly folder: string
}

/** Something to measure: a program, and what each caller asks it. */
export interface Contender {
  readonly name: string
  readonly file: string
  readonly env: (place: Place) => Record<string, string>
  readonly args?: readonly string[]
  readonly asks: (url: string, callers: number, upstream: string) => Promise<Ask[]>
}

/** Where what is measured listens. */
export const PORT = 4120

const MESSAGE = JSON.stringify({ message: 'How are you today?' })
const key = newApiKey()
const jwtSecret = randomBytes(32).toString('hex')

const chat = (model: string) => JSON.stringify({ model, messages: [{ role: 'user', content: 'How are you today?' }] })

const many = (callers: number, ask: (i: number) => Ask) => Array.from({ length: callers }, (_, i) => ask(i))

/** Everything on. The limits count and never refuse. */
const parleyEnv = ({ upstream, folder }: Place) => ({
  DATA_DIR: folder,
  BOOTSTRAP_API_KEY: key,
  MISTRAL_BASE_URL: upstream,
  MISTRAL_API_KEY: 'bench',
  MISTRAL_MAX_CONCURRENCY: '1024',
  RATE_LIMIT_PER_MINUTE: '1000000',
  LOG_LEVEL: 'info'
})

async function create (url: string, path: string, body: object): Promise<string> {
  const response = await fetch(url + path, { method: 'POST', headers: { 'x-api-key': key, 'content-type': 'application/json' }, body: JSON.stringify(body) })
  if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`)
  return (await response.json() as { id: string }).id
}

const config = async (url: string) => await create(url, '/api/configs', { purpose: 'Benchmark.', historyLimit: 20, titles: false, summaries: false })

async function parleyTurns (url: string, callers: number): Promise<Ask[]> {
  const configId = await config(url)
  return await Promise.all(many(callers, () => ({ path: '', headers: { 'x-api-key': key }, body: MESSAGE })).map(async (ask) =>
    ({ ...ask, path: `/api/sessions/${await create(url, '/api/sessions', { configId })}/messages` })))
}

async function parleyChat (url: string, callers: number): Promise<Ask[]> {
  const body = chat(await config(url))
  return many(callers, () => ({ path: '/v1/chat/completions', headers: { authorization: `Bearer ${key}` }, body }))
}

const plainTurns = async (_url: string, callers: number) =>
  many(callers, () => ({ path: `/${crypto.randomUUID()}`, headers: {}, body: MESSAGE }))

const literalToken = async (i: number) =>
  await new SignJWT({ sub: `user-${i}` }).setProtectedHeader({ alg: 'HS256' }).setExpirationTime('1h').sign(Buffer.from(jwtSecret))

const literalEnv = ({ upstream, storeUri }: Place) => ({ UPSTREAM: upstream, MONGODB_URI: storeUri, JWT_SECRET: jwtSecret })

async function literal (path: () => string, body: string, callers: number): Promise<Ask[]> {
  const tokens = await Promise.all(Array.from({ length: callers }, async (_, i) => await literalToken(i)))
  return tokens.map((token) => ({ path: path(), headers: { authorization: `Bearer ${token}` }, body }))
}

const PARLEY = '../src/start.js'
const LITERAL = './baselines/literal/server.js'

export const parley: Contender = {
  name: 'Parley', file: PARLEY, env: (place) => ({ ...parleyEnv(place), MONGODB_URI: place.storeUri }), asks: parleyTurns
}
export const parleyAlone: Contender = { name: 'Parley, store in its process', file: PARLEY, env: parleyEnv, asks: parleyTurns }
export const b4: Contender = {
  name: 'B4', file: './baselines/raw-turns.ts', env: ({ upstream, storeUri }) => ({ UPSTREAM: upstream, MONGODB_URI: storeUri }), asks: plainTurns
}
export const b2: Contender = { ...b4, name: 'B2', env: (place) => ({ ...b4.env(place), WRITES_ONLY: 'true' }) }
export const literalTurns: Contender = {
  name: 'literal stack',
  file: LITERAL,
  env: literalEnv,
  asks: async (_url, callers) => await literal(() => `/sessions/${crypto.randomUUID()}/messages`, MESSAGE, callers)
}

export const c: Contender = {
  name: 'C',
  file: './baselines/raw-proxy.ts',
  env: ({ upstream }) => ({ UPSTREAM: upstream }),
  asks: async (_url, callers) => many(callers, () => ({ path: '/v1/chat/completions', headers: {}, body: chat('mistral-small-latest') }))
}
export const parleyDoor: Contender = { ...parley, asks: parleyChat }
export const literalDoor: Contender = {
  ...literalTurns, asks: async (_url, callers) => await literal(() => '/v1/chat/completions', chat('mistral-small-latest'), callers)
}
export const portkey: Contender = {
  name: 'Portkey 1.15.2',
  file: './node_modules/@portkey-ai/gateway/build/start-server.js',
  args: [`--port=${PORT}`, '--headless'],
  env: () => ({}),
  asks: async (_url, callers, upstream) => many(callers, () => ({
    path: '/v1/chat/completions',
    headers: { authorization: 'Bearer bench', 'x-portkey-provider': 'openai', 'x-portkey-custom-host': `${upstream}/v1` },
    body: chat('mistral-small-latest')
  }))
}
