import t from 'tap'
import { Passwords } from '../../src/accounts/passwords.ts'

t.test('a password is told from another, however it is typed', async (t) => {
  const passwords = new Passwords()
  const hash = await passwords.hash('Stra\u00dfe caf\u00e9 9')
  t.ok(await passwords.matches('Stra\u00dfe cafe\u0301 9', hash))
  t.notOk(await passwords.matches('Strasse cafe 9', hash))
  t.not(await passwords.hash('Stra\u00dfe caf\u00e9 9'), hash, 'each has a salt of its own')
  t.notOk(passwords.isOutdated(hash))
  for (const other of ['m=64,t=2,p=1', 'm=19456,t=3,p=1', 'm=19456,t=2,p=2']) t.ok(passwords.isOutdated(hash.replace('m=19456,t=2,p=1', other)))
  t.notOk(await passwords.matches('', null), 'nobody has a password')
  t.ok(await passwords.matchesAny('Stra\u00dfe caf\u00e9 9', [hash]))
})

t.test('whether there is an account or not, a hash is computed', async (t) => {
  const passwords = new Passwords()
  const before = process.cpuUsage()
  await passwords.matches('anything', null)
  const { user, system } = process.cpuUsage(before)
  // 19 MiB cannot be gone through twice in less.
  t.ok(user + system > 5000)
})

t.test('more than can be hashed in time is refused', async (t) => {
  const passwords = new Passwords()
  const answers = await Promise.allSettled(Array.from({ length: 70 }, async () => await passwords.matches('x', '$argon2id$v=19$m=8,t=1,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAA')))
  const refused = answers.filter(({ status }) => status === 'rejected')
  t.equal(refused.length, 4, 'two are hashed and 64 wait')
  t.match(refused[0], { reason: { code: 'overloaded', headers: { 'retry-after': '1' } } })
})
