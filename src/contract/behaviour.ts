import { type Operation } from './document.ts'

/** Statuses after which the same request may succeed. 409 and 500 may, too; then the problem's `retryable` says so. */
const passing = ['429', '502', '503', '504']

type Repeats = 'always' | 'with-key' | 'never'

const sentences: Readonly<Record<Repeats, string>> = {
  always: 'May be repeated: what has been done is not done twice.',
  'with-key': 'May be repeated with the same `Idempotency-Key` and the same body: it is done once. Without a key it may be done twice.',
  never: 'Is done anew each time: after a lost answer, look before you repeat it.'
}

interface Told {
  readonly method: string
  /** A POST that does nothing more when it is repeated. */
  readonly repeatable: boolean
}

const has = ({ parameters = [] }: Operation, ...names: string[]) => names.every((wanted) => parameters.some(({ name }) => name === wanted))

function repeatsOf (operation: Operation, { method, repeatable }: Told): Repeats {
  if (has(operation, 'idempotency-key')) return 'with-key'
  return repeatable || method !== 'post' ? 'always' : 'never'
}

/**
 * Says in an operation whether it may be repeated, after what it may be tried again, and how to turn the page, for programs as
 * `x-idempotent`, `x-retryable` and `x-pagination`. Told from the request that the operation takes, so that it cannot be wrong.
 */
export function tellBehaviour (operation: Operation, told: Told): void {
  const repeats = repeatsOf(operation, told)
  // What may have been done twice is only tried again where it has not begun.
  const statuses = passing.filter((status) => status in operation.responses && (repeats !== 'never' || status === '429'))
  const retries = statuses.length === 0 ? [] : [`After ${statuses.join(', ')} it may be tried again, no sooner than \`retry-after\` says where it is there.`]
  const pages = has(operation, 'limit', 'cursor')
  const turning = pages ? ['Paged: for the next page, ask with `cursor` set to `nextCursor`, and with the rest as it was, until it is null.'] : []
  operation.description = [operation.description, ...turning, [sentences[repeats], ...retries].join(' ')].filter(Boolean).join('\n\n')
  Object.assign(operation, {
    'x-idempotent': repeats,
    'x-retryable': statuses.map(Number),
    ...(pages && { 'x-pagination': { limit: 'limit', cursor: 'cursor', items: '/data', next: '/nextCursor' } })
  })
}
