import { type Test } from 'tap'
import { JWT_SECRET } from '../edge.ts'
import { startApp, type Answer, type Client, type RequestOptions, type TestApp } from '../helper.ts'
import { openMailbox, type Mailbox } from '../mailbox.ts'

export const PASSWORD = 'correct horse battery'

export interface SignInView {
  token: string
  expiresAt: string
  refreshToken: string
  csrfToken?: string
  user: { id: string, email: string, name: string, role: string }
  tenant: { id: string, name: string }
}

export interface People extends TestApp {
  readonly mailbox: Mailbox
  readonly env: Record<string, string>
  /** Without any credential. */
  readonly nobody: Client
  readonly as: (signIn: Pick<SignInView, 'token'>) => Client
  readonly register: (email: string, more?: Record<string, unknown>) => Promise<Answer>
  readonly login: (email: string, more?: Record<string, unknown>) => Promise<Answer<SignInView>>
  readonly refresh: (refreshToken: string) => Promise<Answer<SignInView>>
  /** Registers and signs in. */
  readonly newcomer: (email: string, more?: Record<string, unknown>) => Promise<SignInView>
  /** Invites somebody who is new here, and accepts for them. */
  readonly invited: (inviter: Client, email: string, role: string) => Promise<SignInView>
}

/** The real app with a real mail server, and what people do with it. */
export async function startPeople (test: Test, env: Record<string, string> = {}): Promise<People> {
  const mailbox = await openMailbox(test)
  const all = { JWT_SECRET, SMTP_URL: mailbox.url, RATE_LIMIT_LOGIN_ACCOUNT: '0', RATE_LIMIT_LOGIN_IP: '0', RATE_LIMIT_RESET_ACCOUNT: '0', ...env }
  const started = await startApp(test, all)
  const nobody = started.client.with({})
  const post = async <T>(path: string, body: unknown, options: RequestOptions = {}) => await nobody.ask<T>(path, { body, ...options })
  const as = ({ token }: Pick<SignInView, 'token'>) => nobody.with({ authorization: `Bearer ${token}` })
  const login: People['login'] = async (email, more) => await post('/api/auth/login', { email, password: PASSWORD, ...more })
  const register: People['register'] = async (email, more) =>
    await post('/api/auth/register', { email, password: PASSWORD, name: 'Some Body', ...more })
  return {
    ...started,
    mailbox,
    env: all,
    nobody,
    as,
    register,
    login,
    refresh: async (refreshToken) => await post('/api/auth/refresh', { refreshToken }),
    async newcomer (email, more) {
      const { status, body } = await register(email, more)
      if (status !== 201) throw new Error(`not registered: ${JSON.stringify(body)}`)
      return (await login(email)).body
    },
    async invited (inviter, email, role) {
      const { status } = await inviter.ask('/api/invitations', { body: { email, role } })
      if (status !== 201) throw new Error('not invited')
      const token = await mailbox.token(email)
      return (await post<SignInView>('/api/auth/invitations/accept', { token, name: 'New Body', password: PASSWORD })).body
    }
  }
}
