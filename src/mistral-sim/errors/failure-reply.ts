import { plainReply, type Reply } from '../http/reply.ts'
import { ApiFailure } from './api-failure.ts'
import { errorBody } from './bodies.ts'

/** An error as a reply; what is no refusal is a mistake of the simulator. */
export function failureReply (error: unknown): Reply {
  if (error instanceof ApiFailure) return plainReply(error.status, error.body, error.headers)
  return plainReply(500, errorBody('mistral', 500, ''))
}

/** The reply that is made, or that to the error which is thrown. */
export function orFailure (make: () => Reply): Reply {
  try {
    return make()
  } catch (error) {
    return failureReply(error)
  }
}
