import { Long, Type, closed, type Static } from './type.ts'

const limit = (description: string) => Long({ minimum: 0, maximum: 1_000_000_000_000, description: `${description} 0: no limit.` })

const limits = {
  tokensPerDay: limit('Tokens of prompts and replies, in a day of UTC.'),
  tokensPerMonth: limit('Tokens of prompts and replies, in a month of UTC.'),
  messagesPerDay: limit('Replies, in a day of UTC.'),
  messagesPerMonth: limit('Replies, in a month of UTC.')
}

export const quotaNames = Object.keys(limits)
export const quotaSubjects = ['tenant', 'user', 'key']

const Limits = Type.Object(limits)
const LimitsInput = Type.Partial(Type.Object(limits), {
  ...closed, description: 'What is left out is as the deployment has it.'
})

export const Quotas = Type.Object({
  tenant: { ...Limits, description: 'What the tenant may use altogether. Set by the operator of the deployment.' },
  perUser: { ...Limits, description: 'What each end user may use.' },
  perKey: { ...Limits, description: 'What each API key may use.' }
}, {
  $id: 'Quotas',
  description: 'The quotas that hold for a tenant, with those of the deployment where it has none of its own.',
  examples: [{
    tenant: { tokensPerDay: 0, tokensPerMonth: 50_000_000, messagesPerDay: 0, messagesPerMonth: 0 },
    perUser: { tokensPerDay: 0, tokensPerMonth: 0, messagesPerDay: 100, messagesPerMonth: 0 },
    perKey: { tokensPerDay: 0, tokensPerMonth: 5_000_000, messagesPerDay: 0, messagesPerMonth: 0 }
  }]
})
export type Quotas = Static<typeof Quotas>

export const QuotasInput = Type.Object({ perUser: LimitsInput, perKey: LimitsInput }, {
  ...closed,
  $id: 'QuotasInput',
  description: 'What each end user and each API key of the tenant may use.',
  examples: [{ perUser: { messagesPerDay: 100 }, perKey: { tokensPerMonth: 5_000_000 } }]
})
export type QuotasInput = Static<typeof QuotasInput>

export const TenantQuota = Type.Object({ tenant: LimitsInput }, {
  ...closed,
  $id: 'TenantQuota',
  description: 'What a tenant may use altogether.',
  examples: [{ tenant: { tokensPerMonth: 50_000_000 } }]
})
export type TenantQuota = Static<typeof TenantQuota>

export const TenantPath = Type.Object({
  tenantId: Type.String({ pattern: '^[^\\s/\\u0000]{1,200}$', description: 'The tenant.' })
})
