import fp from 'fastify-plugin'
import { type Config } from '../src/config.ts'
import { type Limits } from '../src/store/quota-settings.ts'
import { UsageLedger } from '../src/usage/ledger.ts'
import { createMeter, type Meter } from '../src/usage/metered.ts'
import { Pseudonyms } from '../src/usage/payers.ts'
import { QuotaBook } from '../src/usage/quota-book.ts'
import { Quotas } from '../src/usage/quotas.ts'
import { UsageReports } from '../src/usage/reports.ts'

declare module 'fastify' {
  interface FastifyInstance {
    usageLedger: UsageLedger
    quotaBook: QuotaBook
    quotas: Quotas
    /** The model for those who do not write replies. */
    meter: Meter
    usageReports: UsageReports
  }
}

// What a turn may take beyond all the work of its model.
const SLACK_MS = 60_000

function defaultsIn (config: Config, whose: 'TENANT' | 'USER' | 'KEY'): Limits {
  return {
    tokensPerDay: config[`QUOTA_${whose}_TOKENS_PER_DAY`],
    tokensPerMonth: config[`QUOTA_${whose}_TOKENS_PER_MONTH`],
    messagesPerDay: config[`QUOTA_${whose}_MESSAGES_PER_DAY`],
    messagesPerMonth: config[`QUOTA_${whose}_MESSAGES_PER_MONTH`]
  }
}

/** The ledger of what models were used for, and the quotas. */
export default fp<{ config: Config }>(async (fastify, { config }) => {
  const { store, bus, model, webhookRelay } = fastify
  const log = fastify.trackedLog()
  const [tenant, perUser, perKey] = (['TENANT', 'USER', 'KEY'] as const).map((whose) => defaultsIn(config, whose)) as [Limits, Limits, Limits]
  const pseudonyms = new Pseudonyms(store.usagePeople, store.erasures)
  const book = new QuotaBook(store.quotaSettings, bus, { tenant, perUser, perKey }, log)
  const quotas = new Quotas({
    book,
    counters: store.quotaCounters,
    events: store.usageEvents,
    pseudonyms,
    relay: webhookRelay,
    log,
    ttlMs: config.MISTRAL_TIMEOUT_MS + SLACK_MS
  })
  const ledger = new UsageLedger({
    messages: store.messages,
    events: store.usageEvents,
    counters: store.quotaCounters,
    pseudonyms,
    log,
    tell: async (reply) => await webhookRelay.tell(reply)
  })
  await book.refresh()
  fastify.decorate('usageLedger', ledger)
  fastify.decorate('quotaBook', book)
  fastify.decorate('quotas', quotas)
  fastify.decorate('meter', createMeter(model, quotas, ledger))
  fastify.decorate('usageReports', new UsageReports(store))
  fastify.addHook('onClose', () => book.close())
}, { name: 'usage', dependencies: ['error-tracking', 'mongo', 'bus', 'model', 'webhook-relay'] })
