import { type TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import { fastify, LogController, type FastifyInstance, type FastifyServerOptions } from 'fastify'
import answered from '../plugins/answered.ts'
import apiKeys from '../plugins/api-keys.ts'
import audit from '../plugins/audit.ts'
import accessTokens from '../plugins/access-tokens.ts'
import accounts from '../plugins/accounts.ts'
import auth from '../plugins/auth.ts'
import { answerClientError } from '../plugins/client-error.ts'
import bodyEncoding from '../plugins/body-encoding.ts'
import bodyTime from '../plugins/body-time.ts'
import bus from '../plugins/bus.ts'
import compression from '../plugins/compression.ts'
import connectionLimits from '../plugins/connection-limits.ts'
import cors from '../plugins/cors.ts'
import errorTracking from '../plugins/error-tracking.ts'
import errors, { sendError } from '../plugins/errors.ts'
import eventStream from '../plugins/event-stream.ts'
import fixedHeaders from '../plugins/fixed-headers.ts'
import integrations from '../plugins/integrations.ts'
import idempotency from '../plugins/idempotency.ts'
import jsonBody from '../plugins/json-body.ts'
import jwks from '../plugins/jwks.ts'
import limits from '../plugins/limits.ts'
import load from '../plugins/load.ts'
import logLevel from '../plugins/log-level.ts'
import mail from '../plugins/mail.ts'
import metrics from '../plugins/metrics.ts'
import model from '../plugins/model.ts'
import mongo from '../plugins/mongo.ts'
import notFound from '../plugins/not-found.ts'
import openai from '../plugins/openai.ts'
import openapi from '../plugins/openapi.ts'
import outgoing from '../plugins/outgoing.ts'
import providerLogins from '../plugins/provider-logins.ts'
import query from '../plugins/query.ts'
import rateLimit from '../plugins/rate-limit.ts'
import readiness from '../plugins/readiness.ts'
import refreshCookie from '../plugins/refresh-cookie.ts'
import requestIds, { requestId } from '../plugins/request-id.ts'
import requestLog from '../plugins/request-log.ts'
import retention from '../plugins/retention.ts'
import secrets from '../plugins/secrets.ts'
import services from '../plugins/services.ts'
import shutdown from '../plugins/shutdown.ts'
import { buildSerializer } from '../plugins/serialization.ts'
import tracing from '../plugins/tracing.ts'
import usage from '../plugins/usage.ts'
import { buildValidator } from '../plugins/validation.ts'
import visitorLimits from '../plugins/visitor-limits.ts'
import webhookRelay from '../plugins/webhook-relay.ts'
import webhooks from '../plugins/webhooks.ts'
import auditRoutes from '../routes/audit.ts'
import accountMail from '../routes/account-mail.ts'
import apiKeyRoutes from '../routes/api-keys.ts'
import authRoutes from '../routes/auth.ts'
import configVersions from '../routes/config-versions.ts'
import configs from '../routes/configs.ts'
import erasures from '../routes/erasures.ts'
import events from '../routes/events.ts'
import feedback from '../routes/feedback.ts'
import integrationRoutes from '../routes/integrations.ts'
import legalHolds from '../routes/legal-holds.ts'
import logLevelRoutes from '../routes/log-level.ts'
import invitations from '../routes/invitations.ts'
import members from '../routes/members.ts'
import machineTokens from '../routes/machine-tokens.ts'
import messages from '../routes/messages.ts'
import openAiChat from '../routes/openai-chat.ts'
import openAiModels from '../routes/openai-models.ts'
import openAiResponses from '../routes/openai-responses.ts'
import operations from '../routes/operations.ts'
import providerLoginRoutes from '../routes/provider-logins.ts'
import retentionRoutes from '../routes/retention.ts'
import search from '../routes/search.ts'
import profile from '../routes/profile.ts'
import sessions from '../routes/sessions.ts'
import tenants from '../routes/tenants.ts'
import transcript from '../routes/transcript.ts'
import transfers from '../routes/transfers.ts'
import specifications from '../routes/specifications.ts'
import summaries from '../routes/summaries.ts'
import quotas from '../routes/quotas.ts'
import usageRoutes from '../routes/usage.ts'
import webhookTrials from '../routes/webhook-trials.ts'
import webhookRoutes from '../routes/webhook.ts'
import webhookDeliveries from '../routes/webhook-deliveries.ts'
import webhookEndpoints from '../routes/webhook-endpoints.ts'
import { type Config } from './config.ts'
import { type Watched } from './health/health-watch.ts'
import { trustedProxies } from './trusted-proxies.ts'
import { readTls } from './tls.ts'
import { version } from './version.ts'

/** What the server and the tests set apart from the environment. */
export interface Overrides {
  readonly logger?: FastifyServerOptions['logger']
  /** How often a silent event stream gets a comment line. */
  readonly heartbeatMs?: number
  /** How long a request may take to arrive. */
  readonly bodyMs?: number
  /** How long each call to a login provider may take. */
  readonly loginCallMs?: number
  /** How long an answer may lie unread. */
  readonly unreadMs?: number
  /** How many requests may wait to be begun. */
  readonly mayWait?: number
  /** What is left of the disk. */
  readonly space?: Watched['space']
  /** How long the windows of all limits are. */
  readonly limitWindowMs?: number
  /** How long a feed may be read before its reader has to come back. */
  readonly feedMs?: number
  /** Name servers for the hosts that tenants name, in place of those that the system is set to. */
  readonly nameServers?: readonly string[]
  /** How long a request to such a host may take. */
  readonly outgoingMs?: number
  /** How long to wait before each attempt to deliver a webhook. */
  readonly webhookScheduleMs?: readonly number[]
}

/**
 * Builds the whole application, not yet listening. The server, the tests and the export of the document use this one
 * factory, so that what is tested is what runs. The order of registration is behaviour: what comes first is closed last,
 * and hooks run in the order they are added.
 */
export async function buildApp (config: Config, overrides: Overrides = {}): Promise<FastifyInstance> {
  const { logger = false, heartbeatMs = 15_000, bodyMs = 30_000, unreadMs = 60_000, feedMs = 3_600_000 } = overrides
  const tls = readTls(config)
  // How often Node looks for requests that are late.
  const connectionsCheckingInterval = Math.min(bodyMs, 5000)
  const maxParamLength = 600
  const app = fastify({
    logger,
    logController: new LogController({ disableRequestLogging: true, requestIdLogLabel: 'requestId' }),
    ...(tls ? { https: { ...tls, handshakeTimeout: 10_000, connectionsCheckingInterval } } : { http: { connectionsCheckingInterval } }),
    bodyLimit: config.BODY_LIMIT_BYTES,
    trustProxy: trustedProxies(config.TRUST_PROXY ?? '0')!,
    genReqId: requestId,
    // Indexes and migrations of a big store take as long as they take.
    pluginTimeout: 0,
    frameworkErrors: (error, request, reply) => { sendError(error, request, reply) },
    clientErrorHandler: answerClientError,
    schemaController: { compilersFactory: { buildValidator, buildSerializer } },
    // How long an idle connection may hold the shutdown up.
    keepAliveTimeout: 5000,
    // What comes while the server closes is answered like anything else; what it cannot do any more says so itself.
    return503OnClosing: false,
    routerOptions: { maxParamLength }
  }).withTypeProvider<TypeBoxTypeProvider>()

  await app.register(answered)
  await app.register(tracing, { config, version })
  await app.register(errorTracking, { config, version })
  await app.register(metrics, { certificate: tls?.cert as Buffer | undefined })
  await app.register(mongo, { config })
  await app.register(secrets, { config })
  await app.register(bus, { config })
  await app.register(logLevel, { config })
  await app.register(model, { config })
  await app.register(outgoing, { config, nameServers: overrides.nameServers, totalMs: overrides.outgoingMs })
  await app.register(webhooks, { scheduleMs: overrides.webhookScheduleMs })
  await app.register(webhookRelay)
  await app.register(usage, { config })
  await app.register(services, { config })
  await app.register(retention)
  await app.register(bodyTime, { arrivalMs: bodyMs })
  await app.register(requestIds)
  await app.register(fixedHeaders, { endsTls: tls !== undefined })
  await app.register(errors)
  await app.register(connectionLimits, { unreadMs })
  await app.register(bodyEncoding)
  await app.register(jsonBody)
  await app.register(compression)
  await app.register(query)
  await app.register(cors, { config })
  await app.register(load, { mayWait: overrides.mayWait })
  await app.register(openapi, { config, version })
  await app.register(limits, { config, windowMs: overrides.limitWindowMs })
  await app.register(rateLimit, { config })
  await app.register(apiKeys, { config })
  await app.register(jwks, { config })
  await app.register(accessTokens, { config })
  await app.register(auth)
  await app.register(integrations, { config })
  await app.register(mail, { config })
  await app.register(accounts, { config })
  await app.register(refreshCookie, { config })
  await app.register(providerLogins, { config, callMs: overrides.loginCallMs })
  await app.register(audit)
  await app.register(visitorLimits)
  await app.register(idempotency)
  await app.register(requestLog)
  await app.register(readiness, { config, space: overrides.space })
  await app.register(shutdown)
  await app.register(eventStream, { heartbeatMs, feedMs })
  await app.register(openai, { config })

  const methodsByUrl = new Map<string, Set<string>>()
  app.addHook('onRoute', ({ url, method }) => {
    const methods = methodsByUrl.get(url) ?? new Set()
    methodsByUrl.set(url, methods)
    for (const name of [method].flat()) methods.add(name)
  })
  await app.register(configs)
  await app.register(configVersions)
  await app.register(specifications)
  await app.register(sessions)
  await app.register(summaries)
  await app.register(messages, { maxMessageChars: config.MAX_MESSAGE_CHARS })
  await app.register(transcript)
  await app.register(feedback)
  await app.register(events)
  await app.register(erasures)
  await app.register(retentionRoutes)
  await app.register(legalHolds)
  await app.register(transfers)
  await app.register(search)
  await app.register(authRoutes)
  await app.register(profile)
  await app.register(accountMail)
  await app.register(members)
  await app.register(invitations)
  await app.register(tenants)
  await app.register(auditRoutes)
  await app.register(apiKeyRoutes)
  await app.register(usageRoutes)
  await app.register(quotas)
  await app.register(machineTokens)
  await app.register(integrationRoutes)
  await app.register(webhookTrials)
  await app.register(webhookRoutes, { maxMessageChars: config.MAX_MESSAGE_CHARS })
  await app.register(providerLoginRoutes)
  await app.register(openAiChat)
  await app.register(openAiModels)
  await app.register(openAiResponses)
  await app.register(webhookEndpoints)
  await app.register(webhookDeliveries)
  await app.register(logLevelRoutes)
  await app.register(operations, { version })
  await app.register(notFound, { methodsByUrl: new Map(methodsByUrl), maxParamLength })
  return app
}
