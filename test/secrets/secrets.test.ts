import { createCipheriv, createHmac, randomBytes } from 'node:crypto'
import { readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type Collection } from 'mongodb'
import t from 'tap'
import { encryptionKeyFile, localKeyRing, parseKeyRing } from '../../src/secrets/key-ring.ts'
import { reencrypt, type SecretField } from '../../src/secrets/reencryption.ts'
import { SecretError, Secrets, type SecretContext } from '../../src/secrets/secrets.ts'
import { startApp, temporaryFolder } from '../helper.ts'

const fresh = (id: string) => `${id}:${randomBytes(32).toString('base64')}`
const keys = { old: fresh('old'), new: fresh('new') }
const withKeys = (...texts: string[]) => new Secrets(() => parseKeyRing(texts.join(','))!)
const place: SecretContext = { tenantId: 'default', field: 'hooks.secret', documentId: 'a' }

t.test('what is sealed opens in its own place only', async (t) => {
  const secrets = withKeys(keys.new, keys.old)
  for (const text of ['', 'x', 'hunter2', 'ü€🐳\0', 'x'.repeat(10_000)]) {
    const sealed = secrets.seal(text, place)
    t.equal(secrets.open(sealed, place), text)
    t.match(sealed, /^v1\.new\.[\w-]+$/)
    t.not(secrets.seal(text, place), sealed, 'never twice the same')
  }
  const sealed = secrets.seal('hunter2', place)
  const elsewhere: SecretContext[] = [
    { ...place, tenantId: 'another' }, { ...place, tenantId: null }, { ...place, field: 'hooks.token' }, { ...place, documentId: 'b' },
    { tenantId: 'default', field: 'hooks.secret","a', documentId: '' }
  ]
  for (const context of elsewhere) t.throws(() => secrets.open(sealed, context), SecretError, JSON.stringify(context))
})

t.test('what was changed or is no sealed text does not open, and nothing of it is told', async (t) => {
  const secrets = withKeys(keys.new, keys.old)
  const sealed = secrets.seal('hunter2', place)
  const [version, id, base64] = sealed.split('.') as [string, string, string]
  const bytes = Buffer.from(base64, 'base64url')
  for (let i = 0; i < bytes.length; i++) {
    const flipped = Buffer.from(bytes)
    flipped[i]! ^= 1
    t.throws(() => secrets.open(`${version}.${id}.${flipped.toString('base64url')}`, place), SecretError, `byte ${i}`)
  }
  const wrong = ['', 'hunter2', `v2.${id}.${base64}`, `v1.old.${base64}`, `v1.unknown.${base64}`, `v1.${id}.`, `v1.${id}.${base64.slice(0, 30)}`,
    `v1.__proto__.${base64}`, `${sealed}.x`, `v1.${id}.${base64.slice(0, -2)}`]
  for (const text of wrong) {
    const thrown = t.throws(() => secrets.open(text, place), SecretError, text)
    t.notMatch(String(thrown), /hunter2/)
  }
  t.throws(() => withKeys(keys.old).open(sealed, place), SecretError, 'without its key')
})

t.test('keys are changed without a break, and the old ones are not needed after it', async (t) => {
  const { db } = await startApp(t)
  const collection: Collection<{ _id: string, secret: string }> = db.collection('kept')
  const contextOf = (documentId: string) => ({ ...place, documentId })
  const field = (crashAfter: number): SecretField => ({
    async page (afterId, limit) {
      const found = await collection.find(afterId === undefined ? {} : { _id: { $gt: afterId } }).sort({ _id: 1 }).limit(limit).toArray()
      return found.map(({ _id, secret }) => ({ sealed: secret, context: contextOf(_id) }))
    },
    async replace ({ sealed, context }, secret) {
      if (crashAfter-- === 0) throw new Error('crashed')
      await collection.updateOne({ _id: context.documentId, secret: sealed }, { $set: { secret } })
    }
  })
  const before = withKeys(keys.old)
  const ids = Array.from({ length: 230 }, (_, i) => String(i).padStart(3, '0'))
  await collection.insertMany(ids.map((id) => ({ _id: id, secret: before.seal(`secret ${id}`, contextOf(id)) })))

  const during = withKeys(keys.new, keys.old)
  t.equal(during.needsReencryption(before.seal('x', place)), true)
  t.equal(during.needsReencryption(during.seal('x', place)), false)
  await t.rejects(reencrypt(during, field(150)), { message: 'crashed' })
  for (const { _id, secret } of await collection.find().toArray()) t.equal(during.open(secret, contextOf(_id)), `secret ${_id}`)
  t.equal(await reencrypt(during, field(Infinity)), 80, 'only what was left')
  t.equal(await reencrypt(during, field(Infinity)), 0)
  const after = withKeys(keys.new)
  for (const { _id, secret } of await collection.find().toArray()) t.equal(after.open(secret, contextOf(_id)), `secret ${_id}`)

  const broken = '007'
  const swapped = before.seal('secret', contextOf('elsewhere'))
  await collection.updateOne({ _id: broken }, { $set: { secret: swapped } })
  await collection.updateOne({ _id: '150' }, { $set: { secret: before.seal('secret 150', contextOf('150')) } })
  await t.rejects(reencrypt(during, field(Infinity)), SecretError, 'one that does not open is told of')
  const { secret } = (await collection.findOne({ _id: '150' }))!
  t.equal(after.open(secret, contextOf('150')), 'secret 150', 'after all others are sealed')
  t.equal((await collection.findOne({ _id: broken }))!.secret, swapped, 'and left as it is')
})

t.test('the key of one purpose is never that of another', async (t) => {
  const key = randomBytes(32)
  const [derived] = parseKeyRing(`a:${key.toString('base64')}`)!.values()
  t.notOk(derived!.equals(key), 'the configured bytes themselves encrypt nothing')
  const mac = createHmac('sha256', key).update('parley field encryption').digest()
  t.notOk(derived!.equals(mac))
  const nonce = Buffer.alloc(12)
  const raw = createCipheriv('aes-256-gcm', key, nonce).update('x')
  t.notOk(createCipheriv('aes-256-gcm', derived!, nonce).update('x').equals(raw))
})

t.test('without keys, a server makes one that only it can read; in production it has none', async (t) => {
  const dataDir = join(await temporaryFolder(t), 'made', 'here')
  const { app } = await startApp(t, { DATA_DIR: dataDir })
  await t.rejects(stat(encryptionKeyFile(dataDir)), { code: 'ENOENT' }, 'not before it is needed')
  const sealed = app.secrets!.seal('hunter2', place)
  t.equal((await stat(encryptionKeyFile(dataDir))).mode & 0o777, 0o600)
  t.match(await readFile(encryptionKeyFile(dataDir), 'utf8'), /^local:[0-9A-Za-z+/]{43}=\n$/)
  t.equal(new Secrets(() => localKeyRing(dataDir)).open(sealed, place), 'hunter2', 'and finds it again')

  const configured = await startApp(t, { DATA_DIR: dataDir, NODE_ENV: 'production', ENCRYPTION_KEYS: keys.new })
  t.match(configured.app.secrets!.seal('x', place), /^v1\.new\./)
  const production = await startApp(t, { DATA_DIR: dataDir, NODE_ENV: 'production' })
  t.equal(production.app.secrets, undefined)

  await writeFile(encryptionKeyFile(dataDir), 'hunter2')
  t.throws(() => localKeyRing(dataDir), { message: /encryption-key does not hold a key$/ })
  t.throws(() => localKeyRing(join(encryptionKeyFile(dataDir), 'x')), { code: 'ENOTDIR' })
})
