import t from 'tap'
import { isProblem } from '../edge.ts'
import { startApp } from '../helper.ts'
import { startPeople, type SignInView } from './people.ts'

const people = await startPeople(t, { CORS_ORIGINS: 'https://app.example.org', PUBLIC_URL: 'https://parley.example.org' })
const { nobody, login, newcomer } = people
await newcomer('ada@example.org')

async function signIn () {
  const { headers, body } = await login('ada@example.org', { cookie: true })
  const set = headers.get('set-cookie')!
  return { set, cookie: set.split(';')[0]!, csrf: body.csrfToken!, body }
}
const use = async (path: string, headers: Record<string, string>) => await nobody.ask<SignInView>(`/api/auth/${path}`, { body: {}, headers })

t.test('the refresh token is set as a cookie that no script reads, and nowhere else', async (t) => {
  const { set, cookie, csrf, body } = await signIn()
  t.match(set, /^__Secure-parley-refresh=rt_[^;]+; Path=\/api\/auth; Expires=[^;]+; HttpOnly; Secure; SameSite=Strict$/)
  t.equal(body.refreshToken, undefined)
  t.notMatch(JSON.stringify(body), cookie.split('=')[1]!)
  t.match(csrf, /^[\w-]{43}$/)
})

t.test('a page that may use it goes on with it', async (t) => {
  let { cookie, csrf } = await signIn()
  for (const origin of ['https://app.example.org', 'https://parley.example.org', nobody.url]) {
    const { status, headers, body } = await use('refresh', { cookie, origin, 'x-csrf-token': csrf })
    t.equal(status, 200, origin)
    t.equal(body.refreshToken, undefined)
    t.equal(body.csrfToken, csrf, 'it stays the same for the sign-in')
    cookie = headers.get('set-cookie')!.split(';')[0]!
  }
  const out = await use('logout', { cookie, origin: nobody.url, 'x-csrf-token': csrf })
  t.equal(out.status, 204)
  t.match(out.headers.get('set-cookie'), /^__Secure-parley-refresh=; .*Path=\/api\/auth/)
  isProblem(t, await use('refresh', { cookie, origin: nobody.url, 'x-csrf-token': csrf }), 'unauthenticated')
})

t.test('another site cannot use it', async (t) => {
  const [{ cookie, csrf }, other] = [await signIn(), await signIn()]
  const origin = nobody.url
  const wrong: Array<Record<string, string>> = [
    { cookie, 'x-csrf-token': csrf },
    { cookie, origin: 'https://evil.example', 'x-csrf-token': csrf },
    { cookie, origin: 'null', 'x-csrf-token': csrf },
    { cookie, origin: 'https://app.example.org.evil.example', 'x-csrf-token': csrf },
    { cookie, origin },
    { cookie, origin, 'x-csrf-token': '' },
    { cookie, origin, 'x-csrf-token': other.csrf }
  ]
  for (const headers of wrong) {
    for (const path of ['refresh', 'logout']) isProblem(t, await use(path, headers), 'forbidden', JSON.stringify({ ...headers, cookie: path }))
  }
  isProblem(t, await use('refresh', { cookie: '__Secure-parley-refresh=x', origin }), 'unauthenticated')
  isProblem(t, await use('refresh', { cookie: 'other=1', origin }), 'unauthenticated')
  t.equal((await use('refresh', { cookie, origin, 'x-csrf-token': csrf })).status, 200, 'and nothing of it has ended the sign-in')
})

t.test('without PUBLIC_URL, pages of this server itself may', async (t) => {
  const { client } = await startApp(t)
  isProblem(t, await client.with({}).ask('/api/auth/refresh', {
    body: {}, headers: { cookie: '__Secure-parley-refresh=x', origin: 'https://parley.example.org' }
  }), 'forbidden')
})
