import { createHmac } from 'node:crypto'
import { EJSON } from 'bson'
import { type Db } from 'mongodb'
import { type Test } from 'tap'
import { type ErrorCode, errorKinds } from '../src/errors.ts'
import { type Answer, type Client } from './helper.ts'

/** What the tests of the edge have in common. */
export interface ConfigView {
  id: string
  name: string
  purpose: string
  domain: string[]
  tone: { style: string, language: string }
  channels: string[]
  integrations: string[]
  instructions: string
  model: { name?: string, temperature?: number, maxTokens?: number }
  fallback: string
  historyLimit: number
  titles: boolean
  summaries: boolean
  specificationId: string | null
  version: number
  note: string | null
  createdAt: string
  updatedAt: string
}

export interface SessionView {
  id: string
  sessionId: string
  configId: string
  userId: string | null
  channel: string | null
  title: string | null
  metadata: Record<string, unknown>
  status: string
  messageCount: number
  startedAt: string
  lastActivity: string
}

export interface PageView<T> { data: T[], nextCursor: string | null }

/** An identifier that nothing has. */
export const nobody = 'f'.repeat(24)

/** Holds a failure against every member that the contract promises. */
export function isProblem (t: Test, { status, headers, body }: Answer<unknown>, code: ErrorCode,
  label: string = code): void {
  const kind = errorKinds[code]
  const leak = /node_modules|\.ts:|Mongo|BSON/.exec(JSON.stringify(body))
  t.match({ status, leak, type: headers.get('content-type'), body }, {
    status: kind.status,
    leak: null,
    type: 'application/problem+json; charset=utf-8',
    body: {
      type: `urn:parley:problem:${code}`,
      ...kind,
      code,
      detail: /./,
      instance: /^[^?]+$/,
      requestId: headers.get('x-request-id') ?? 'on every response',
      ...(code === 'validation_failed' && { errors: [{ path: String, message: /./ }] })
    }
  }, label)
}

/** Everything that clients can have written, as one text to compare. */
export async function contents (db: Db): Promise<string> {
  // How far a session is in the search index, and a reply in the ledger, is nothing that clients have written.
  const fields = { unindexed: 0, indexedSeq: 0, unrecorded: 0 }
  const all = ['configs', 'configVersions', 'sessions', 'messages']
    .map((name) => db.collection(name).find({}, { projection: fields }).sort({ _id: 1 }).toArray())
  return EJSON.stringify(await Promise.all(all))
}

const base64url = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')

export const JWT_SECRET = 'a secret that is long enough for HS256'
const HEADER: object = { alg: 'HS256', typ: 'JWT' }

/** A JWT of `claims`; `exp` in ten minutes unless they say something else. */
export function signJwt (claims: Record<string, unknown>, { secret = JWT_SECRET, header = HEADER } = {}): string {
  const signed = `${base64url(header)}.${base64url({ exp: Math.floor(Date.now() / 1000) + 600, ...claims })}`
  return `${signed}.${createHmac('sha256', secret).update(signed).digest('base64url')}`
}

/** The same app as a bearer of a JWT sees it. */
export function bearer (client: Client, claims: Record<string, unknown>): Client {
  return client.with({ authorization: `Bearer ${signJwt(claims)}` })
}

/** All of a list, page by page. */
export async function pages<T> (client: Client, path: string, limit: number): Promise<T[][]> {
  const found: T[][] = []
  let cursor: string | null = null
  do {
    const query: string = `limit=${limit}${cursor === null ? '' : `&cursor=${cursor}`}`
    const { body } = await client.ask<PageView<T>>(`${path}${path.includes('?') ? '&' : '?'}${query}`)
    found.push(body.data)
    cursor = body.nextCursor
  } while (cursor !== null)
  return found
}
