import fp from 'fastify-plugin'
import { Specifications } from '../src/assist/specifications.ts'
import { Summaries } from '../src/assist/summaries.ts'
import { Upkeep } from '../src/assist/upkeep.ts'
import { Chat } from '../src/chat/chat.ts'
import { Chatbots } from '../src/chatbots/chatbots.ts'
import { ChatbotTransfer } from '../src/chatbots/transfer.ts'
import { ChatbotVersions } from '../src/chatbots/versions.ts'
import { type Config } from '../src/config.ts'
import { Feeds } from '../src/feeds/feeds.ts'
import { Erasures } from '../src/portability/erasures.ts'
import { Exporter } from '../src/portability/export.ts'
import { Importer } from '../src/portability/import.ts'
import { SessionExporter } from '../src/portability/session-export.ts'
import { RemovalGuard } from '../src/retention/removal-guard.ts'
import { Search } from '../src/search/search.ts'
import { ChangeLog } from '../src/sessions/change-log.ts'
import { SessionWatch } from '../src/sessions/session-watch.ts'
import { Sessions } from '../src/sessions/sessions.ts'
import { turnMetrics } from './metrics/turns.ts'
import { compileBody } from './validation.ts'

declare module 'fastify' {
  interface FastifyInstance {
    chatbots: Chatbots
    chatbotVersions: ChatbotVersions
    chatbotTransfer: ChatbotTransfer
    sessions: Sessions
    messageSearch: Search
    chat: Chat
    feeds: Feeds
    specifications: Specifications
    erasures: Erasures
    removalGuard: RemovalGuard
    sessionChanges: ChangeLog
    exporter: Exporter
    sessionExporter: SessionExporter
    importer: Importer
    summaries: Summaries
    upkeep: Upkeep
  }
}

/** The core, wired to its store and its model. */
export default fp<{ config: Config }>(async (fastify, { config }) => {
  const { store } = fastify
  const log = fastify.trackedLog()
  const chatbots = new Chatbots(store.chatbots, fastify.bus, fastify.webhookRelay)
  const search = new Search(store, log)
  const watch = new SessionWatch(store.sessions)
  const changes = new ChangeLog(store, search, watch)
  const guard = new RemovalGuard(store)
  const specifications = new Specifications(store.specifications, fastify.model, fastify.meter)
  const sessions = new Sessions(store.sessions, store.messages, changes, chatbots, fastify.webhookRelay)
  const summaries = new Summaries({ sessions, store, provider: fastify.model, meter: fastify.meter })
  const upkeep = new Upkeep({
    changes, upkeep: store.upkeep, summaries, provider: fastify.model, meter: fastify.meter, log
  })
  const countTurn = turnMetrics(fastify.metrics, () => chat.running)
  const chat: Chat = new Chat({
    store,
    bus: fastify.bus,
    chatbots,
    sessions,
    changes,
    search,
    guard,
    watch,
    provider: fastify.model,
    quotas: fastify.quotas,
    ledger: fastify.usageLedger,
    onEnd (turn) {
      countTurn(turn)
      upkeep.after(turn)
    },
    onRound: fastify.noteRound,
    log,
    leaseMs: config.TURN_LEASE_MS,
    flushMs: config.STREAM_FLUSH_MS
  })
  fastify.decorate('chatbots', chatbots)
  fastify.decorate('chatbotVersions', new ChatbotVersions(chatbots, store.chatbots.versions))
  fastify.decorate('chatbotTransfer', new ChatbotTransfer(chatbots, store.chatbots.versions))
  fastify.decorate('sessions', sessions)
  fastify.decorate('messageSearch', search)
  fastify.decorate('chat', chat)
  fastify.decorate('feeds', new Feeds({ store, sessions, watch, followers: chat.followers }))
  fastify.decorate('specifications', specifications)
  const erasures = new Erasures({ store, removal: chat.removal, guard, log })
  fastify.decorate('erasures', erasures)
  const exporter = new Exporter({ store, changes, chat })
  fastify.decorate('removalGuard', guard)
  fastify.decorate('sessionChanges', changes)
  fastify.decorate('exporter', exporter)
  fastify.decorate('sessionExporter', new SessionExporter(sessions, exporter))
  fastify.decorate('importer', new Importer(store, compileBody))
  fastify.decorate('summaries', summaries)
  fastify.decorate('upkeep', upkeep)
  // Before the server waits for its connections: those who follow a message would hold it up.
  fastify.addHook('preClose', async () => {
    // Whatever a hook returns is taken for a failure.
    await Promise.all([chat.close(), search.close(), erasures.close()])
    specifications.close()
    await upkeep.close()
    // After all that uses a model.
    await fastify.usageLedger.close()
  })
}, { name: 'services', dependencies: ['error-tracking', 'metrics', 'mongo', 'bus', 'model', 'usage'] })
