import swagger from '@fastify/swagger'
import swaggerUi from '@fastify/swagger-ui'
import { type FastifyContextConfig, type FastifySchema } from 'fastify'
import fp from 'fastify-plugin'
import {
  AccountTenants, EmailVerification, LoginInput, LogoutInput, PasswordChange, PasswordReset, PasswordResetRequest, Profile, ProfileInput,
  RefreshInput, Registered, RegistrationInput, SignIn
} from '../schemas/account.ts'
import { AuditEntry, AuditPage } from '../schemas/audit.ts'
import { ApiKey, ApiKeyInput, ApiKeyPage, ApiKeyRotation, IssuedApiKey } from '../schemas/api-key.ts'
import { ChatbotConfig, ChatbotConfigInput, ChatbotConfigPage, ChatbotConfigPatch, ChatbotConfigReplacement } from '../schemas/chatbot-config.ts'
import { Branch, BranchPage } from '../schemas/branch.ts'
import { ChatbotSettings } from '../schemas/chatbot-settings.ts'
import { Erasure, ErasurePage } from '../schemas/erasure.ts'
import { Feedback, FeedbackInput } from '../schemas/feedback.ts'
import { ConfigExport, ConfigImport } from '../schemas/config-export.ts'
import { ConfigDiff, ConfigVersion, ConfigVersionHead, ConfigVersionPage, RollbackInput } from '../schemas/config-version.ts'
import {
  FeedStarted, MessageDeleted, MessageRated, SessionCleared, SessionDeleted, SessionEvent, SessionUpdated, TenantEvent, TurnStarted
} from '../schemas/feed-event.ts'
import { Health, Liveness } from '../schemas/health.ts'
import { LegalHold, LegalHoldInput, LegalHoldPage } from '../schemas/legal-hold.ts'
import { LogLevel } from '../schemas/log-level.ts'
import { Integration, IntegrationInput, IntegrationPage, IntegrationPatch, IntegrationRotation, IssuedIntegration } from '../schemas/integration.ts'
import { Invitation, InvitationAcceptance, InvitationInput, InvitationPage, Member, MemberPage, MemberPatch } from '../schemas/member.ts'
import { GrantedToken, PublishedKeys, TokenRequest, VisitorToken, VisitorTokenInput } from '../schemas/machine-token.ts'
import { MessageDelta, MessageEnded, MessageEvent, MessageStarted } from '../schemas/message-event.ts'
import { Accepted, Exchange, History, Message, MessageInput, MessagePage, RatedMessage, RatedMessagePage } from '../schemas/message.ts'
import { ChatCompletion, ChatCompletionChunk, ChatCompletionInput } from '../schemas/openai-chat.ts'
import { Embeddings, EmbeddingsInput } from '../schemas/openai-embedding.ts'
import { OpenAiError } from '../schemas/openai-error.ts'
import { OpenAiModel, OpenAiModelList } from '../schemas/openai-model.ts'
import {
  DeletedResponse, OpenAiResponse, ResponseEvent, ResponseInput, ResponseInputItems, ResponseItem, ResponsePart
} from '../schemas/openai-response.ts'
import { Problem } from '../schemas/problem.ts'
import { CsrfToken } from '../schemas/refresh-cookie.ts'
import { headersOf, responseHeaders } from '../schemas/response-headers.ts'
import { Retention, RetentionInput } from '../schemas/retention.ts'
import { SearchHit, SearchPage } from '../schemas/search.ts'
import { Session, SessionInput, SessionPage, SessionPatch } from '../schemas/session.ts'
import { Quotas, QuotasInput, TenantQuota } from '../schemas/quota.ts'
import { Specification, SpecificationInput, SpecificationPage, Draft } from '../schemas/specification.ts'
import { Summary } from '../schemas/summary.ts'
import { Tenant, TenantPage, TenantPatch } from '../schemas/tenant.ts'
import { type TSchema } from '../schemas/type.ts'
import { Usage } from '../schemas/usage.ts'
import { WebhookDelivery, WebhookMessage, WebhookOutcome, WebhookReceipt, WebhookTrial, WebhookTrialResult } from '../schemas/webhook.ts'
import { ImportReport, SessionExport, TransferLines } from '../schemas/transfer.ts'
import { WebhookEvent, webhookEvents } from '../schemas/webhook-event.ts'
import { webhookCallbacks, webhookOperations } from '../schemas/webhook-operations.ts'
import {
  IssuedWebhookEndpoint, EndpointAttempt, EndpointDelivery, EndpointDeliveryPage, WebhookEndpoint, WebhookEndpointInput, WebhookEndpointPage,
  WebhookEndpointPatch, WebhookRedeliveries, WebhookRedelivery, WebhookSecretRotation
} from '../schemas/webhook-endpoint.ts'
import { type Config } from '../src/config.ts'
import { tellBehaviour } from '../src/contract/behaviour.ts'
import { type Document, nameOf, type Operation } from '../src/contract/document.ts'
import { to30 } from '../src/contract/down-conversion.ts'
import { tellLinks } from '../src/contract/links.ts'
import { shareResponses } from '../src/contract/shared-responses.ts'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** A POST that does nothing more when it is repeated, with no key to say that it is a repeat. */
    repeatable?: true
  }
  interface FastifyInstance {
    /** The document for programs that know OpenAPI 3.0 only. */
    openapi30: () => object
  }
}

declare module 'fastify' {
  interface FastifyContextConfig {
    /** The body as the document has it, of a route that checks it itself. */
    checkedBody?: TSchema
  }
}

const components = [
  ChatbotConfig, ChatbotConfigInput, ChatbotConfigReplacement, ChatbotConfigPatch, ChatbotConfigPage, ChatbotSettings,
  ConfigVersion, ConfigVersionHead, ConfigVersionPage, ConfigDiff, RollbackInput, ConfigExport, ConfigImport,
  Erasure, ErasurePage, Retention, RetentionInput, LegalHold, LegalHoldInput, LegalHoldPage, SessionExport, TransferLines, ImportReport,
  Session, SessionInput, SessionPatch, SessionPage,
  Message, Exchange, Accepted, History, MessageStarted, MessageDelta, MessageEnded, MessageEvent,
  Branch, BranchPage, MessagePage, Feedback, FeedbackInput, RatedMessage, RatedMessagePage, SearchHit, SearchPage,
  SpecificationInput, Draft, Specification, SpecificationPage, Summary,
  FeedStarted, TurnStarted, MessageDeleted, MessageRated, SessionUpdated, SessionCleared, SessionDeleted, SessionEvent, TenantEvent,
  RegistrationInput, Registered, LoginInput, SignIn, RefreshInput, LogoutInput, CsrfToken, Profile, ProfileInput, PasswordChange, AccountTenants,
  EmailVerification, PasswordResetRequest, PasswordReset,
  Member, MemberPage, MemberPatch, Invitation, InvitationInput, InvitationPage, InvitationAcceptance, Tenant, TenantPage, TenantPatch,
  ApiKey, ApiKeyInput, ApiKeyPage, ApiKeyRotation, IssuedApiKey,
  Usage, Quotas, QuotasInput, TenantQuota,
  ...webhookEvents, WebhookEvent,
  TokenRequest, GrantedToken, VisitorTokenInput, VisitorToken, PublishedKeys,
  Integration, IntegrationInput, IntegrationPage, IntegrationPatch, IntegrationRotation, IssuedIntegration,
  WebhookDelivery, WebhookOutcome, WebhookReceipt, WebhookTrial, WebhookTrialResult,
  ResponseInput, OpenAiResponse, ResponseItem, ResponsePart, ResponseEvent, ResponseInputItems, DeletedResponse,
  ChatCompletionInput, ChatCompletion, ChatCompletionChunk, OpenAiModel, OpenAiModelList, EmbeddingsInput, Embeddings, OpenAiError,
  WebhookEndpoint, WebhookEndpointInput, WebhookEndpointPatch, WebhookEndpointPage, IssuedWebhookEndpoint, WebhookSecretRotation,
  EndpointAttempt, EndpointDelivery, EndpointDeliveryPage, WebhookRedelivery, WebhookRedeliveries,
  AuditEntry, AuditPage, Problem, Health, Liveness, LogLevel
]

const description = `
Configure chatbots, open sessions, exchange messages: whole replies as JSON, or as they are written as server-sent events.

Every failure is a problem document (RFC 9457) with a \`code\`. Lists answer \`{ data, nextCursor }\` to \`?limit=\` and
\`?cursor=\`. A path that knows other methods than the one asked for answers 405 with \`allow\`.

Words in answers are open to growth: \`x-extensible-enum\` lists those of today, and others may come without a new version, so be ready
for words that you do not know. An \`enum\` is closed. Of an event stream, \`x-event-schemas\` tells by the name of an event which schema its
\`data\` has.
`.trim()

/** Says in the document what a route needs and what is noted of it, from the same declarations that see to it. */
function withDeclarations (schema: FastifySchema, { scope, audit, orSigned, checkedBody }: FastifyContextConfig): FastifySchema {
  const noted = audit && { 'x-audit': audit.action }
  const body = checkedBody && { body: checkedBody }
  if (scope === 'public') return { ...schema, ...body, security: [], ...noted }
  const scopes = [scope].flat() as string[]
  const needs = scope === 'account' ? 'For whoever has signed in (`account`).' : `Scope: ${scopes.map((name) => `\`${name}\``).join(' or ')}.`
  return {
    ...schema,
    ...body,
    description: [schema.description, needs].filter(Boolean).join('\n\n'),
    'x-scopes': scopes,
    ...(orSigned && { security: [{ bearerAuth: [] }, { apiKey: [] }, {}] }),
    ...noted
  } as FastifySchema
}

const headerRefs = (names: string[]) => Object.fromEntries(names.map((name) => [name, { $ref: `#/components/headers/${name}` }]))

/** Adds what the schemas of the routes cannot say: response headers, and that a parameter with a default may be left out. */
function complete ({ parameters, responses }: Operation, isLimited: boolean): void {
  for (const parameter of parameters ?? []) {
    if (parameter.schema?.default !== undefined) parameter.required = false
  }
  for (const [status, response] of Object.entries(responses)) {
    const components = Object.values(response.content ?? {}).map(({ schema }) => nameOf(schema) ?? '')
    response.headers = headerRefs(headersOf(status, components, isLimited))
  }
}

// The pages bring all that they run, and ask this server only.
const pageCsp = [
  "default-src 'none'", "script-src 'self'", "style-src 'self'", "img-src 'self' data:", "font-src 'self'", "connect-src 'self'",
  "base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'"
].join('; ')

/** The OpenAPI document, made from the routes' own schemas, and its pages for people at `/docs`. */
export default fp<{ config: Config, version: string }>(async (fastify, { config, version }) => {
  for (const schema of [...components, MessageInput(config.MAX_MESSAGE_CHARS), WebhookMessage(config.MAX_MESSAGE_CHARS)]) fastify.addSchema(schema)

  const repeatables = new Set<string>()
  await fastify.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: { title: 'Parley', version, description, license: { name: 'MIT', identifier: 'MIT' } },
      servers: [{ url: '/', description: 'This server.' }],
      tags: [
        { name: 'configurations', description: 'What chatbots are and know.' },
        { name: 'specifications', description: 'Briefs, and configurations drafted from them.' },
        { name: 'sessions', description: 'Conversations.' },
        { name: 'messages', description: 'What is said in them.' },
        { name: 'feedback', description: 'What readers think of replies.' },
        { name: 'events', description: 'What happens in conversations, as it happens.' },
        { name: 'transfers', description: 'Taking conversations from one place to another.' },
        { name: 'end users', description: 'Erasing what is kept of them.' },
        { name: 'retention', description: 'For how long what is kept, and what must be.' },
        { name: 'accounts', description: 'Registering, signing in, and one\'s own account.' },
        { name: 'members', description: 'Who is in the tenant, and asking people in.' },
        { name: 'tenants', description: 'The tenants themselves.' },
        { name: 'audit', description: 'Who did what.' },
        { name: 'credentials', description: 'API keys, and tokens that are made with them.' },
        { name: 'webhooks', description: 'What Parley tells other programs.' },
        { name: 'integrations', description: 'Who may send messages by webhooks, and how they sign.' },
        { name: 'webhooks in', description: 'Messages from external channels.' },
        { name: 'usage', description: 'What models were used for, and how much of it is allowed.' },
        { name: 'openai', description: 'For clients of OpenAI: their paths, their bodies, their errors.' },
        { name: 'operations', description: 'How the server is.' }
      ],
      security: [{ bearerAuth: [] }, { apiKey: [] }],
      webhooks: webhookOperations,
      components: {
        securitySchemes: {
          bearerAuth: { type: 'http', scheme: 'bearer', description: 'An API key or a JWT.' },
          apiKey: { type: 'apiKey', in: 'header', name: 'X-API-Key', description: 'An API key.' }
        }
      }
    },
    refResolver: { buildLocalReference: (json, _baseUri, _fragment, i) => typeof json['$id'] === 'string' ? json['$id'] : `schema-${i}` },
    transform: ({ schema, url, route }) => {
      const { repeatable, ...config } = route.config ?? {}
      if (repeatable) repeatables.add(schema.operationId!)
      return { schema: withDeclarations(schema, config), url }
    },
    transformObject: (told) => {
      const { openapiObject } = told as Extract<typeof told, { openapiObject: unknown }>
      const document = openapiObject as unknown as Document
      document.components['headers'] = responseHeaders
      for (const [url, path] of Object.entries(document.paths)) {
        for (const [method, operation] of Object.entries(path)) {
          complete(operation, /^\/(api|v1)\//.test(url))
          tellBehaviour(operation, { method, repeatable: repeatables.has(operation.operationId) })
        }
      }
      document.paths['/api/webhook-endpoints']!['post']!.callbacks = webhookCallbacks
      tellLinks(document)
      shareResponses(document)
      return openapiObject
    }
  })
  let converted: object | undefined
  fastify.decorate('openapi30', () => {
    converted ??= to30(fastify.swagger())
    return converted
  })
  // Before the guard of the other routes: its pages are public.
  await fastify.register(swaggerUi, { routePrefix: '/docs', staticCSP: pageCsp })
}, { name: 'openapi' })
