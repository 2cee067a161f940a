/** An address as it is compared and stored. The schemas let only ASCII through, so that lower case is one thing everywhere. */
export function normalizeEmail (email: string): string {
  return email.toLowerCase()
}
