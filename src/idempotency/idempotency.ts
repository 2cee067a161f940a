import { createHash } from 'node:crypto'
import { ApiError } from '../errors.ts'
import { subjectOf } from '../portability/subject.ts'
import { newId } from '../store/ids.ts'
import { type IdempotencyRecord, type IdempotencyRepository, type StoredAnswer } from '../store/idempotency-records.ts'

/** A request that came with an idempotency key. */
export interface KeyedRequest {
  readonly key: string
  readonly tenantId: string
  readonly userId: string | null
  /** The method, the route and the parameters in its path. */
  readonly operation: readonly unknown[]
  readonly body: unknown
}

/** `repeated`: an earlier request with the same key had begun. */
export interface Claim {
  readonly record: IdempotencyRecord
  readonly repeated: boolean
}

/** The members of an object in an order of their own, so that the sender's order does not count. */
function sorted (_name: string, value: unknown): unknown {
  const isObject = typeof value === 'object' && value !== null && !Array.isArray(value)
  return isObject ? Object.fromEntries(Object.entries(value).sort(([a], [b]) => a < b ? -1 : 1)) : value
}

/** Whom a request is about: the user it names, else the one who sends it. */
function subjectIn ({ tenantId, userId: sender, body }: Pick<KeyedRequest, 'tenantId' | 'userId' | 'body'>): string | null {
  const named = typeof body === 'object' && body !== null && 'userId' in body ? body.userId : sender
  return typeof named === 'string' ? subjectOf({ tenantId, userId: named }) : null
}

const hash = (value: unknown) => createHash('sha256').update(JSON.stringify(value, sorted)).digest('base64url')

/**
 * Makes requests safe to repeat without a lock. The record of a key names the id of what is to be created before anything
 * is: twins and repeats after a crash create under the same id, and the store lets one of them.
 */
export class Idempotency {
  readonly #records: IdempotencyRepository

  constructor (records: IdempotencyRepository) {
    this.#records = records
  }

  /** Binds the key to this request, or finds what it is bound to. Throws `idempotency_conflict` for another body. */
  async claim ({ key, tenantId, userId, operation, body }: KeyedRequest): Promise<Claim> {
    const fresh: IdempotencyRecord = {
      id: hash([tenantId, userId, operation, key]),
      requestHash: hash([body]),
      resourceId: newId(),
      createdAt: new Date(),
      subject: subjectIn({ tenantId, userId, body }),
      released: false,
      answer: null
    }
    for (;;) {
      if (await this.#records.insert(fresh)) return { record: fresh, repeated: false }
      const record = await this.#records.find(fresh.id)
      // Run out between the two.
      if (!record) continue
      if (record.requestHash === fresh.requestHash) return { record, repeated: !record.released }
      if (!record.released) {
        throw new ApiError('idempotency_conflict', { detail: 'This Idempotency-Key was used with another body.' })
      }
      if (await this.#records.rebind(fresh)) return { record: fresh, repeated: false }
    }
  }

  /** Keeps what a request was answered with. One that was refused gives its key free; one that failed may have done its work. */
  async settle ({ record }: Claim, answer: StoredAnswer): Promise<void> {
    if (answer.status < 300) await this.#records.keep(record, answer)
    else if (answer.status < 500) await this.#records.release(record)
  }
}
