import { createHash, randomBytes } from 'node:crypto'
import { type IncomingMessage, type ServerResponse } from 'node:http'
import { text } from 'node:stream/consumers'
import { type Test } from 'tap'
import { clientId, clientSecret } from './openid-server.ts'
import { startLoopback } from './loopback-server.ts'

export interface GitHubUser {
  readonly id: unknown
  readonly login: string
  readonly name: string | null
  readonly emails: ReadonlyArray<{ email: string, primary: boolean, verified: boolean, visibility: string | null }>
}

/** Speaks as a GitHub Enterprise Server does, as GitHub documents it. Whoever comes is logged in as `user`. */
export interface GitHubServer {
  readonly url: string
  user: GitHubUser
  /** What `/user/emails` answers instead. */
  instead?: { readonly status: number, readonly body: string }
}

export async function startGitHubServer (test: Test, user: GitHubUser): Promise<GitHubServer> {
  const challenges = new Map<string, string | null>()
  const tokens = new Set<string>()

  function authorize ({ searchParams }: URL, response: ServerResponse): void {
    const code = randomBytes(10).toString('hex')
    challenges.set(code, searchParams.get('code_challenge'))
    const back = new URL(searchParams.get('redirect_uri')!)
    back.searchParams.set('code', code)
    back.searchParams.set('state', searchParams.get('state')!)
    response.writeHead(302, { location: back.href }).end()
  }

  async function exchange (request: IncomingMessage): Promise<object> {
    const form = new URLSearchParams(await text(request))
    if (form.get('client_id') !== clientId || form.get('client_secret') !== clientSecret) {
      return { error: 'incorrect_client_credentials', error_description: 'The client_id and/or client_secret passed are incorrect.' }
    }
    const verifier = createHash('sha256').update(form.get('code_verifier') ?? '').digest('base64url')
    const code = form.get('code') ?? ''
    if (challenges.get(code) !== verifier) {
      return { error: 'bad_verification_code', error_description: 'The code passed is incorrect or expired.' }
    }
    challenges.delete(code)
    const token = `gho_${randomBytes(18).toString('hex')}`
    tokens.add(token)
    return { access_token: token, scope: 'user:email', token_type: 'bearer' }
  }

  const { url } = await startLoopback(test, (url) => (request, response) => {
    const send = (body: unknown, status = 200) => response.writeHead(status, { 'content-type': 'application/json; charset=utf-8' })
      .end(typeof body === 'string' ? body : JSON.stringify(body))
    const asked = new URL(request.url!, url)
    const isKnown = tokens.has(request.headers.authorization?.replace('Bearer ', '') ?? '') && request.headers['user-agent'] !== undefined
    const { emails, ...profile } = server.user
    if (asked.pathname === '/login/oauth/authorize') authorize(asked, response)
    else if (asked.pathname === '/login/oauth/access_token') void exchange(request).then((answer) => send(answer))
    else if (!isKnown) send({ message: 'Bad credentials', documentation_url: 'https://docs.github.com/rest', status: '401' }, 401)
    else if (asked.pathname === '/api/v3/user') send({ ...profile, type: 'User', email: null })
    else send(server.instead?.body ?? emails, server.instead?.status)
  })
  const server: GitHubServer = { url, user }
  return server
}
