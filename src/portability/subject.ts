import { createHash } from 'node:crypto'
import { type Person } from '../store/erasures.ts'

/** Stands for a person where their name must not stay: SHA-256 of tenant and user, in hexadecimal. */
export function subjectOf ({ tenantId, userId }: Person): string {
  return createHash('sha256').update(JSON.stringify([tenantId, userId])).digest('hex')
}
