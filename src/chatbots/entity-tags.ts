import { etag } from '../../schemas/entity-tag.ts'

interface Versioned {
  readonly version: number
}

/** The entity tags of an `If-Match` or `If-None-Match` header, weak ones as `W/"…"`; undefined: any version will do. */
function tagsIn (header: string): string[] | undefined {
  return header.trim() === '*' ? undefined : header.split(',').map((tag) => tag.trim())
}

/** Whether an `If-Match` header allows to change this version. */
export function allowsChange (ifMatch: string, current: Versioned): boolean {
  return tagsIn(ifMatch)?.includes(etag(current.version)) ?? true
}

/** Whether an `If-None-Match` header names this version. Weak tags count here: a proxy that compresses makes them of ours. */
export function namesVersion (ifNoneMatch: string, current: Versioned): boolean {
  return tagsIn(ifNoneMatch)?.some((tag) => tag.replace(/^W\//, '') === etag(current.version)) ?? true
}
