import { randomBytes } from 'node:crypto'
import { EJSON } from 'bson'
import t, { type Test } from 'tap'
import { newApiKey, apiKeyPrefix, hashApiKey } from '../../src/auth/api-key.ts'
import { type Scope } from '../../src/auth/principal.ts'
import { JWT_SECRET, signJwt } from '../edge.ts'
import { startApp } from '../helper.ts'
import { openMailbox } from '../mailbox.ts'
import { Description } from './document.ts'
import { furnish, type Place, type SignedUp, signedUp } from './place.ts'
import { validParts } from './requests.ts'
import { Secrets } from './secrets.ts'
import { type Asked, type Heard, Wire } from './wire.ts'

/** Somebody who asks. */
export interface Caller {
  readonly name: string
  readonly headers: Readonly<Record<string, string>>
  /** Of another tenant: must never be told a word that the first tenant wrote. */
  readonly isStranger?: boolean
}

/** What must not happen, as it happened. */
const mishaps: string[] = []
const ourMark = `zebra${randomBytes(8).toString('hex')}`
const theirMark = `heron${randomBytes(8).toString('hex')}`
const secrets = new Secrets()
let lines = 0

const logger = {
  level: 'trace',
  stream: {
    write (line: string) {
      lines++
      if (secrets.isIn(line) || [ourMark, theirMark].some((mark) => line.includes(mark))) mishaps.push(`logged: ${line}`)
    }
  }
}

const limits = ['IP', 'LOGIN_ACCOUNT', 'LOGIN_IP', 'PROVIDER_LOGIN_IP', 'REGISTRATION_IP', 'RESET_ACCOUNT', 'RESET_IP']
// Mail goes to a server, as it does in earnest: else it stands in the log.
const { url: SMTP_URL } = await openMailbox(t)
const env = { JWT_SECRET, SMTP_URL, OUTGOING_ALLOWED_NETWORKS: '127.0.0.0/8', ...Object.fromEntries(limits.map((name) => [`RATE_LIMIT_${name}`, '0'])) }

// What is not delivered at once stays as it is: what changes by itself cannot be told from what a stranger has changed.
// The files of this room share it, so that it goes with the process and not with the first of them.
const room = { teardown: t.teardown.bind(t) }
export const { app, client, db, adminKey, clientFor } = await startApp(room, env, { logger, heartbeatMs: 20, webhookScheduleMs: [0, 86_400_000] })
export const description = new Description(app)
const wire = new Wire(client.url)
t.teardown(async () => await wire.close())

const [ourOwner, theirOwner] = [await signedUp(client, ourMark), await signedUp(client, theirMark)]
export const OURS = ourOwner.tenant
export const THEIRS = theirOwner.tenant

/** The bearer of a JWT with these claims. */
export function holder (name: string, claims: Record<string, unknown>, isStranger = claims['tid'] !== OURS): Caller {
  const token = signJwt({ sub: name, ...claims })
  secrets.add(token)
  return { name, headers: { authorization: `Bearer ${token}` }, isStranger }
}

export const anonymous: Caller = { name: 'anonymous', headers: {}, isStranger: true }

/** The holder of an API key. */
export async function keyHolder (name: string, tenantId: string, scopes: Scope[]): Promise<Caller> {
  const key = newApiKey()
  secrets.add(key)
  await app.store.apiKeys.insert({ prefix: apiKeyPrefix(key)!, tenantId, name, scopes, createdAt: new Date() }, hashApiKey(key))
  return { name, headers: { 'x-api-key': key }, isStranger: tenantId !== OURS }
}

/** The token of a visitor. */
export async function visitor (configId: string, origin?: string): Promise<Caller> {
  const { token } = await app.accessTokens.issue({
    tenantId: OURS, subject: 'visitor', scopes: ['chat'], visitor: { configId, ...(origin !== undefined && { origin }) }
  })
  secrets.add(token)
  return { name: 'visitor', headers: { authorization: `Bearer ${token}` } }
}

const keys = new Map<Caller, string>()
const accounts = new Map<Caller, SignedUp>()

export const owner = holder('owner', { tid: OURS, scope: 'admin platform' })
export const stranger = holder('stranger', { tid: THEIRS, scope: 'admin' })
accounts.set(owner, ourOwner)
accounts.set(stranger, theirOwner)
secrets.add(ourOwner.token)
secrets.add(theirOwner.token)

// What no answer has, whatever its schema says.
const INTERNAL = /"(passwordHash|hash|keyHash|tokenHash|secretHash|_id|__v|outbox|unbilled)":/

/** Asks, and notes what must never be in an answer. */
export async function ask (caller: Caller, asked: Asked): Promise<Heard> {
  const key = asked.byKey ? keys.get(caller) : undefined
  const account = asked.byAccount ? accounts.get(caller) : undefined
  const credential = key !== undefined ? { 'x-api-key': key } : account ? { authorization: `Bearer ${account.token}` } : caller.headers
  const heard = await wire.ask({ ...asked, headers: { ...credential, ...asked.headers } })
  const what = `${caller.name}: ${asked.method} ${asked.path} ${asked.body?.slice(0, 200) ?? ''}: ${heard.status} ${heard.text.slice(0, 300)}`
  if (heard.status >= 500) mishaps.push(what)
  if (INTERNAL.test(heard.text)) mishaps.push(`internal members: ${what}`)
  secrets.addAllOf(heard.text)
  const told = heard.text + JSON.stringify(heard.headers)
  if (caller.isStranger && [ourMark, place.secret].some((text) => told.includes(text))) mishaps.push(`told a stranger: ${what}`)
  return heard
}

let users = 0

async function furnished (caller: Caller, account: SignedUp, mark: string): Promise<Place> {
  const place = await furnish(client.with(caller.headers), account, mark, `user-${users++}-of-${caller.name}`)
  secrets.add(place.secret)
  keys.set(caller, place.secret)
  return place
}

/** Fresh things, for who is going to remove some. */
export const newPlace = async () => await furnished(owner, ourOwner, ourMark)
// One after the other: a cursor tells things of one moment apart by their ids.
export const place = await newPlace()
export const strangePlace = await furnished(stranger, theirOwner, theirMark)

const unknown: string[] = []

/** What can be asked. */
export const operations = description.operations.filter((operation) => {
  try {
    validParts(description, operation, place)
    return true
  } catch (error) {
    unknown.push((error as Error).message)
    return false
  }
})

// What the server notes of its own work.
const upkeep = { unindexed: 0, indexedSeq: 0, lastUsedAt: 0, lease: 0 }
const notTheirs = /^(searchSegments|searchBlocks|signals|leases|upkeep|idempotencyRecords)$/

type Data = ReadonlyMap<string, string>

/** All that is stored for a tenant, in whatever collection, by where it is. */
export async function dataOf (tenantId: string): Promise<Data> {
  // What was begun in the background is ended first.
  await Promise.all([app.chat.purge(), app.erasures.resume(), app.usageLedger.flush()])
  const data = new Map<string, string>()
  const names = (await db.listCollections({}, { nameOnly: true }).toArray()).map(({ name }) => name).filter((name) => !notTheirs.test(name))
  for (const name of names) {
    // That something was read or refused may be noted, too.
    const isOfChange = { status: { $lt: 400 }, $or: [{ before: { $ne: null } }, { after: { $ne: null } }] }
    const filter = name === 'auditLog' ? { tenantId, ...isOfChange } : { tenantId }
    for await (const document of db.collection(name).find(filter, { projection: upkeep })) {
      data.set(`${name} ${String(document._id)}`, EJSON.stringify(document))
    }
  }
  return data
}

/** What is not as it was. */
export function changes (before: Data, after: Data): string[] {
  const places = new Set([...before.keys(), ...after.keys()])
  return [...places].filter((place) => before.get(place) !== after.get(place)).map((place) => `${place}: ${before.get(place)}, now ${after.get(place)}`)
}

/** The last test of each file: what was asked in it has brought nothing to light. */
export async function nothingCameOut (t: Test): Promise<void> {
  for (const [place, text] of [...await dataOf(OURS), ...await dataOf(THEIRS)]) {
    if (secrets.isIn(text)) mishaps.push(`stored: ${place}`)
  }
  t.strictSame(mishaps.splice(0), [], 'no failure of the server, no word of one tenant for another, no secret in the store or the log, no message in the log')
  t.strictSame(unknown, [], 'each operation is known here')
  t.ok(lines > 0, 'there is a log')
}
