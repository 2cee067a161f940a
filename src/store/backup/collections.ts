/**
 * Collections are copied one after the other while others write, so what is copied later is newer. The order is such
 * that this does no harm:
 *
 * - What is to be done comes before what it leads to. Its end cannot be in a copy that lacks the effect; at worst it is
 *   done once more, and all of it can be done twice.
 * - What names something comes before what it names, which is there by then.
 */
export const beforeConversations: readonly string[] = [
  'migrations', 'idempotencyRecords', 'inboundMessages', 'conversations', 'erasures', 'quotaCounters'
]

/** Copied session by session, see `SessionCut`. */
export const conversationCollections: readonly string[] = ['sessions', 'messages', 'changes']

/** Behind them come collections that are not named here, and the audit log, so that what is done is noted. */
export const afterConversations: readonly string[] = [
  'usageEvents', 'usagePeople', 'webhookDeliveries', 'configs', 'configVersions', 'specifications', 'webhookEndpoints',
  'integrations', 'quotaSettings', 'retentionSettings', 'legalHolds', 'invitations', 'apiKeys', 'tenants', 'users'
]

export const lastCollection = 'auditLog'

/**
 * What is not copied: what lasts for minutes, what is made anew of the rest (the search index), and what must not come
 * back to life: sign-ins, and tokens that were sent by mail and may have been used.
 */
export const leftOut: readonly string[] = [
  'signals', 'counters', 'leases', 'loginFlows', 'oneTimeTokens', 'refreshFamilies', 'searchSegments', 'searchTables', 'searchBlocks', 'restores'
]
