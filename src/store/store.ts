import './driver-drain.ts'
import {
  type Db, MongoBulkWriteError, MongoClientClosedError, MongoError, MongoNetworkError, MongoNotConnectedError, MongoServerError, MongoSystemError,
  MongoTopologyClosedError
} from 'mongodb'
import { ApiKeyRepository } from './api-keys.ts'
import { AuditLogRepository } from './audit-log.ts'
import { refuseUnfinishedRestore } from './backup/unfinished.ts'
import { ChangeRepository } from './changes.ts'
import { ChatbotRepository } from './chatbots.ts'
import { ConversationRepository } from './conversations.ts'
import { CounterRepository } from './counters.ts'
import { ErasureRepository } from './erasures.ts'
import { GroupCommit } from './group-commit.ts'
import { IdempotencyRepository } from './idempotency-records.ts'
import { InboundMessageRepository } from './inbound-messages.ts'
import { IntegrationRepository } from './integrations.ts'
import { InvitationRepository } from './invitations.ts'
import { LeaseRepository } from './leases.ts'
import { LegalHoldRepository } from './legal-holds.ts'
import { LoginFlowRepository } from './login-flows.ts'
import { MessageRepository } from './messages.ts'
import { type MigrationOptions, Migrations } from './migrations/migrations.ts'
import { OneTimeTokenRepository } from './one-time-tokens.ts'
import { OutdatedRepository } from './outdated.ts'
import { PurgeRepository } from './purges.ts'
import { RefreshFamilyRepository } from './refresh-families.ts'
import { RemovalClaimRepository } from './removal-claims.ts'
import { RetentionSettingsRepository } from './retention-settings.ts'
import { QuotaCounterRepository } from './quota-counters.ts'
import { QuotaSettingsRepository } from './quota-settings.ts'
import { SearchSegmentRepository } from './search-segments.ts'
import { SearchSourceRepository } from './search-sources.ts'
import { SessionRepository } from './sessions.ts'
import { SignalRepository } from './signals.ts'
import { SpecificationRepository } from './specifications.ts'
import { StoreClock } from './store-clock.ts'
import { StoreLoad } from './store-load.ts'
import { TenantRepository } from './tenants.ts'
import { TransferRepository } from './transfers.ts'
import { TurnRepository } from './turns.ts'
import { UpkeepRepository } from './upkeep.ts'
import { UserRepository } from './users.ts'
import { UsageEventRepository } from './usage-events.ts'
import { UsagePeopleRepository } from './usage-people.ts'
import { WebhookDeliveryRepository } from './webhook-deliveries.ts'
import { WebhookEndpointRepository } from './webhook-endpoints.ts'

/** Everything that is kept, by aggregate. */
export interface Store {
  readonly apiKeys: ApiKeyRepository
  readonly auditLog: AuditLogRepository
  readonly tenants: TenantRepository
  readonly users: UserRepository
  readonly refreshFamilies: RefreshFamilyRepository
  readonly oneTimeTokens: OneTimeTokenRepository
  readonly invitations: InvitationRepository
  readonly chatbots: ChatbotRepository
  readonly sessions: SessionRepository
  readonly turns: TurnRepository
  readonly messages: MessageRepository
  readonly changes: ChangeRepository
  readonly idempotency: IdempotencyRepository
  readonly signals: SignalRepository
  readonly counters: CounterRepository
  readonly purges: PurgeRepository
  readonly erasures: ErasureRepository
  readonly outdated: OutdatedRepository
  readonly retentionSettings: RetentionSettingsRepository
  readonly legalHolds: LegalHoldRepository
  readonly removalClaims: RemovalClaimRepository
  readonly transfers: TransferRepository
  readonly specifications: SpecificationRepository
  readonly upkeep: UpkeepRepository
  readonly searchSegments: SearchSegmentRepository
  readonly searchSources: SearchSourceRepository
  readonly leases: LeaseRepository
  readonly loginFlows: LoginFlowRepository
  readonly usageEvents: UsageEventRepository
  readonly usagePeople: UsagePeopleRepository
  readonly quotaSettings: QuotaSettingsRepository
  readonly quotaCounters: QuotaCounterRepository
  readonly integrations: IntegrationRepository
  readonly conversations: ConversationRepository
  readonly inbound: InboundMessageRepository
  readonly webhookEndpoints: WebhookEndpointRepository
  readonly webhookDeliveries: WebhookDeliveryRepository
  readonly load: StoreLoad
  /** Rejects while the store does not answer. */
  ping (): Promise<void>
  /** The time by the store's clock. */
  now (): Promise<Date>
}

// The first servers with a write command over several collections.
const WITH_BULK_WRITE = 25
const INDEXED_AT_ONCE = 8

export interface OpenOptions extends MigrationOptions {
  /** Whether to bring old data up to date; else they are refused. */
  readonly migrate?: boolean
  /** How much the store can have to answer at once before it counts as busy. */
  readonly busyAt?: number
}

/** Makes the indexes, where they are missing, brings old data up to date, and hands out the repositories. */
export async function openStore (db: Db, { migrate = true, busyAt = Infinity, ...options }: OpenOptions = {}): Promise<Store> {
  const migrations = new Migrations(db)
  const pending = await migrations.pending()
  await refuseUnfinishedRestore(db)
  if (!migrate && pending.length > 0) {
    throw new Error(`the data is not up to date (missing: ${pending.map(({ id }) => id).join(', ')}), and MIGRATE_ON_START is false. Run \`npm run migrate\` first.`)
  }
  const { maxWireVersion } = await db.command({ hello: 1 })
  const clock = new StoreClock(db)
  const commits = new GroupCommit(db, Number(maxWireVersion) >= WITH_BULK_WRITE)
  const apiKeys = new ApiKeyRepository(db)
  const auditLog = new AuditLogRepository(db)
  const tenants = new TenantRepository(db)
  const users = new UserRepository(db)
  const refreshFamilies = new RefreshFamilyRepository(db)
  const oneTimeTokens = new OneTimeTokenRepository(db)
  const invitations = new InvitationRepository(db)
  const chatbots = new ChatbotRepository(db)
  const sessions = new SessionRepository(db)
  const messages = new MessageRepository(db, commits, clock)
  const changes = new ChangeRepository(db)
  const idempotency = new IdempotencyRepository(db)
  const erasures = new ErasureRepository(db)
  const legalHolds = new LegalHoldRepository(db)
  const removalClaims = new RemovalClaimRepository(db)
  const transfers = new TransferRepository(db)
  const signals = new SignalRepository(db)
  const counters = new CounterRepository(db)
  const specifications = new SpecificationRepository(db)
  const searchSegments = new SearchSegmentRepository(db)
  const searchSources = new SearchSourceRepository(db)
  const loginFlows = new LoginFlowRepository(db)
  const usageEvents = new UsageEventRepository(db)
  const usagePeople = new UsagePeopleRepository(db)
  const quotaSettings = new QuotaSettingsRepository(db)
  const quotaCounters = new QuotaCounterRepository(db)
  const integrations = new IntegrationRepository(db)
  const conversations = new ConversationRepository(db)
  const inbound = new InboundMessageRepository(db, clock)
  const webhookEndpoints = new WebhookEndpointRepository(db)
  const webhookDeliveries = new WebhookDeliveryRepository(db, clock)
  const repositories = [
    apiKeys, auditLog, tenants, users, refreshFamilies, oneTimeTokens, invitations, chatbots, sessions, messages, changes,
    idempotency, erasures, legalHolds, removalClaims, transfers, signals, specifications, searchSegments, searchSources,
    loginFlows,
    counters, usageEvents, usagePeople, quotaSettings, quotaCounters, webhookEndpoints, webhookDeliveries,
    integrations, conversations, inbound
  ]
  // All at once would each need a connection, and some might wait for it too long.
  for (let i = 0; i < repositories.length; i += INDEXED_AT_ONCE) {
    await Promise.all(repositories.slice(i, i + INDEXED_AT_ONCE).map(async (repository) => await repository.createIndexes()))
  }
  if (pending.length > 0) await migrations.run(options)
  return {
    apiKeys,
    auditLog,
    tenants,
    users,
    refreshFamilies,
    oneTimeTokens,
    invitations,
    chatbots,
    sessions,
    turns: new TurnRepository(db, commits, clock),
    messages,
    changes,
    idempotency,
    signals,
    counters,
    purges: new PurgeRepository(db),
    erasures,
    outdated: new OutdatedRepository(db),
    retentionSettings: new RetentionSettingsRepository(db),
    legalHolds,
    removalClaims,
    transfers,
    specifications,
    upkeep: new UpkeepRepository(db),
    searchSegments,
    searchSources,
    leases: new LeaseRepository(db),
    loginFlows,
    usageEvents,
    usagePeople,
    quotaSettings,
    quotaCounters,
    integrations,
    conversations,
    inbound,
    webhookEndpoints,
    webhookDeliveries,
    load: new StoreLoad(db.client, commits, busyAt),
    async ping () {
      await db.command({ ping: 1 })
    },
    async now () {
      return (await db.command({ hello: 1 }))['localTime'] as Date
    }
  }
}

/**
 * Whether a failure means that the store is away, not that the request or this code is wrong. Errors that the server
 * answered with are its verdict on the command, except those it marks as passing.
 */
export function isStoreAway (error: unknown): boolean {
  if (!(error instanceof MongoError)) return false
  // Some commands wrap why they were never answered, and its class is lost. An answer has a code.
  if (error instanceof MongoBulkWriteError && error.code === undefined) return true
  if (error instanceof MongoServerError) {
    return ['RetryableWriteError', 'RetryableError', 'SystemOverloadedError'].some((label) => error.hasErrorLabel(label))
  }
  const kinds = [MongoNetworkError, MongoSystemError, MongoTopologyClosedError, MongoNotConnectedError, MongoClientClosedError]
  // The errors of the connection pool are not exported.
  return kinds.some((kind) => error instanceof kind) || /^Mongo(WaitQueueTimeout|PoolClosed)Error$/.test(error.name)
}
