import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto'
import { type KeyRing } from './key-ring.ts'

/** Where a secret is kept. It can only be opened there: moved to another place, it is of no use. */
export interface SecretContext {
  /** Null: nobody's yet. */
  readonly tenantId: string | null
  /** Collection and field, such as `webhooks.secret`. */
  readonly field: string
  readonly documentId: string
}

/** A secret that cannot be opened: sealed by a key that is not there, for another place, or not a sealed one at all. */
export class SecretError extends Error {
  override readonly name = 'SecretError'
}

const VERSION = 'v1'
const ALGORITHM = 'aes-256-gcm'
const NONCE_BYTES = 12
const TAG_BYTES = 16
const SEALED = /^v1\.([0-9A-Za-z_-]{1,32})\.([0-9A-Za-z_-]{38,})$/

function boundTo (keyId: string, { tenantId, field, documentId }: SecretContext): Buffer {
  return Buffer.from(JSON.stringify([VERSION, keyId, tenantId, field, documentId]))
}

/** Encrypts single fields of documents, by AES-256-GCM and the first key of a ring. */
export class Secrets {
  readonly #keys: () => KeyRing

  constructor (keys: () => KeyRing) {
    this.#keys = keys
  }

  seal (text: string, context: SecretContext): string {
    const [[keyId, key]] = this.#keys() as unknown as [[string, Buffer]]
    const nonce = randomBytes(NONCE_BYTES)
    const cipher = createCipheriv(ALGORITHM, key, nonce, { authTagLength: TAG_BYTES }).setAAD(boundTo(keyId, context))
    const sealed = Buffer.concat([nonce, cipher.update(text, 'utf8'), cipher.final(), cipher.getAuthTag()])
    return `${VERSION}.${keyId}.${sealed.toString('base64url')}`
  }

  /** Throws `SecretError`. */
  open (sealed: string, context: SecretContext): string {
    const [, keyId = '', base64 = ''] = SEALED.exec(sealed) ?? []
    const key = this.#keys().get(keyId)
    if (!key) throw new SecretError('no key of the ring has sealed this')
    const bytes = Buffer.from(base64, 'base64url')
    const decipher = createDecipheriv(ALGORITHM, key, bytes.subarray(0, NONCE_BYTES), { authTagLength: TAG_BYTES })
      .setAAD(boundTo(keyId, context))
      .setAuthTag(bytes.subarray(-TAG_BYTES))
    try {
      return decipher.update(bytes.subarray(NONCE_BYTES, -TAG_BYTES), undefined, 'utf8') + decipher.final('utf8')
    } catch (cause) {
      throw new SecretError('this was not sealed for here', { cause })
    }
  }

  /** Whether it was sealed by another key than the one that seals now. */
  needsReencryption (sealed: string): boolean {
    const [newest] = this.#keys().keys()
    return SEALED.exec(sealed)?.[1] !== newest
  }
}
