import t from 'tap'
import { startPeople } from '../accounts/people.ts'

const TRIES = 200

const median = (times: number[]) => times.sort((a, b) => a - b)[Math.floor(times.length / 2)]!

t.test('how long a login takes does not tell whether there is such an account', async (t) => {
  const { newcomer, login } = await startPeople(t)
  await newcomer('known@example.org')
  const times: Record<string, number[]> = { 'known@example.org': [], 'unknown@example.org': [] }
  const attempt = async (email: string) => {
    const from = performance.now()
    await login(email, { password: 'wrong horse battery' })
    return performance.now() - from
  }
  // One after the other, so that whatever else the machine does falls on both, and in turns the one first and the other: what
  // comes a moment after another login takes longer.
  const both = Object.entries(times)
  for (let i = 0; i < TRIES; i++) {
    for (const [email, all] of i % 2 ? both : both.toReversed()) all.push(await attempt(email))
  }
  const [known, unknown] = Object.values(times).map(median)
  t.comment(`known ${known!.toFixed(2)} ms, unknown ${unknown!.toFixed(2)} ms`)
  t.ok(Math.abs(known! - unknown!) < 5)
})
