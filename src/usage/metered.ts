import { type ChatProvider, type GenerationEvent, type GenerationOptions, type GenerationRequest } from '../llm/provider.ts'
import { newId } from '../store/ids.ts'
import { type Purpose, type Spent } from '../store/usage-events.ts'
import { type UsageLedger } from './ledger.ts'
import { type Payer } from './payers.ts'
import { type Quotas } from './quotas.ts'
import { spentOn } from './spent.ts'

/** Who pays for what is no turn, and what it is. */
export interface Account extends Payer {
  readonly configId: string | null
  readonly purpose: Purpose
}

/** Gives a model to those who ask it something besides turns: within the quotas, and with a record of all it took. */
export type Meter = (account: Account) => ChatProvider

export function createMeter (provider: ChatProvider, quotas: Quotas, ledger: UsageLedger): Meter {
  return (account) => {
    async function * generate (request: GenerationRequest, options: GenerationOptions): AsyncGenerator<GenerationEvent> {
      const { messages, model } = request
      const id = newId()
      const grant = await quotas.reserve(account, { id, prompt: messages, maxTokens: model.maxTokens, messages: account.purpose === 'reply' ? 1 : 0 })
      const { subjects = [], maxTokens = model.maxTokens, budgetTokens } = grant ?? {}
      const attempts: Spent[] = []
      try {
        yield * provider.generate({ ...request, model: { ...model, ...(maxTokens && { maxTokens }) } }, {
          ...options,
          onAttempt: (attempt) => attempts.push(spentOn(attempt)),
          ...(budgetTokens && { budgetTokens })
        })
      } finally {
        ledger.add({ ...account, id, at: new Date(), subjects, attempts })
      }
    }
    return { ...provider, generate }
  }
}
