import { type Limits } from './limits.ts'

/** What is left of the minute's budgets; a budget without limit is absent. */
export interface Budgets {
  requests?: { limit: number, left: number }
  tokens?: { limit: number, left: number, cost: number, msLeft: number }
}

/** The headers that tell a client what is left. */
export function limitHeaders (budgets: Budgets, generation: Limits['headers'] = 'new'): Record<string, string> {
  const entries = [
    ...(generation === 'new' || generation === 'both' ? newHeaders(budgets) : []),
    ...(generation === 'old' || generation === 'both' ? oldHeaders(budgets) : [])
  ]
  return Object.fromEntries(entries.map(([name, value]) => [name, String(Math.max(0, value))]))
}

type Entries = Array<[name: string, value: number]>

function newHeaders ({ requests, tokens }: Budgets): Entries {
  const perRequest: Entries = requests === undefined
    ? []
    : [['x-ratelimit-limit-req-minute', requests.limit], ['x-ratelimit-remaining-req-minute', requests.left]]
  const perToken: Entries = tokens === undefined
    ? []
    : [
        ['x-ratelimit-limit-tokens-minute', tokens.limit],
        ['x-ratelimit-remaining-tokens-minute', tokens.left],
        ['x-ratelimit-tokens-query-cost', tokens.cost]
      ]
  return [...perRequest, ...perToken]
}

/** The older generation knows tokens only. */
function oldHeaders ({ tokens }: Budgets): Entries {
  if (tokens === undefined) return []
  return [
    ['ratelimitbysize-limit', tokens.limit],
    ['ratelimitbysize-remaining', tokens.left],
    ['ratelimitbysize-reset', Math.ceil(tokens.msLeft / 1000)],
    ['ratelimitbysize-query-cost', tokens.cost],
    ['x-ratelimitbysize-limit-minute', tokens.limit],
    ['x-ratelimitbysize-remaining-minute', tokens.left]
  ]
}
