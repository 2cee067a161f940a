import { ApiError } from '../errors.ts'

/** What a client is told that comes back with something else than an `id` of the same feed. */
export function foreignCursor (): ApiError {
  return new ApiError('validation_failed', {
    detail: 'The cursor is not one of this feed.',
    members: { errors: [{ path: '/cursor', message: 'must be the id of an event of this feed' }] }
  })
}
