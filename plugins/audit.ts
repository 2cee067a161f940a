import {
  type FastifyRequest, type onSendAsyncHookHandler, type preHandlerAsyncHookHandler,
  type preSerializationAsyncHookHandler, type RouteOptions
} from 'fastify'
import fp from 'fastify-plugin'
import { actorOf, anonymous, isStaff, mayTouchOthers } from '../src/audit/actor.ts'
import { AuditLog } from '../src/audit/audit-log.ts'
import { type Principal, type Role } from '../src/auth/principal.ts'
import { ApiError } from '../src/errors.ts'
import { type AuditActor, type AuditTarget } from '../src/store/audit-log.ts'

/** What a route notes in the audit log. */
export interface RouteAudit {
  /** What kind of thing, and what is done to it, such as `config.updated`. */
  readonly action: `${string}.${string}`
  /** The parameter of the path that names the thing, `id` if not said. Where the path has none, the `id` of the answer does. */
  readonly target?: string
  /** Reads the thing as it was, for the old value; `id` is empty where the path has none. What it throws as `not_found` is left to the handler. */
  readonly before?: (principal: Principal, id: string) => Promise<unknown>
  /**
   * Whom it is noted of, where not of everybody. `staff-reads`: a reading, noted of persons and admins only, and once a
   * minute; `others`: noted of those whose reach goes beyond their own sessions. Neither keeps values.
   */
  readonly only?: 'staff-reads' | 'others'
}

/** For routes without a credential: who it turned out to be. */
export interface AuditSubject {
  /** Absent: the one that the account has joined first. */
  readonly tenantId?: string
  readonly account?: { readonly id: string, readonly role?: Role }
  readonly targetId?: string
}

declare module 'fastify' {
  interface FastifyContextConfig {
    audit?: RouteAudit
  }
  interface FastifyInstance {
    auditLog: AuditLog
  }
  interface FastifyRequest {
    trail: Trail | null
    /** On a route without a credential: notes whose tenant and account it is about. What is about nobody is kept for 30 days. */
    auditedAs: (subject: AuditSubject) => void
  }
}

/** The entry of one request. */
interface Trail {
  readonly id: string
  /** Names a reading, so that it is noted once. */
  readonly read?: string
  tenantId: string | null
  actor: AuditActor
  target: AuditTarget
  before?: unknown
  after?: unknown
  hasEnded?: true
}

const recorders: Record<NonNullable<RouteAudit['only']>, (principal: Principal) => boolean> = {
  'staff-reads': isStaff, others: mayTouchOthers
}

/** Notes what routes declare: before it is done, and again, with its outcome, before the answer is sent. */
export default fp(async (fastify) => {
  const log = new AuditLog(fastify.store.auditLog)

  function beginning ({ action, target = 'id', only, before }: RouteAudit): preHandlerAsyncHookHandler {
    const type = action.slice(0, action.indexOf('.'))
    return async (request) => {
      const { caller, ip } = request
      if (caller && only && !recorders[only](caller)) return
      const id = (request.params as Record<string, string | undefined>)[target] ?? null
      const read = only === 'staff-reads' && caller ? JSON.stringify([caller.credential, action, id, ip]) : undefined
      if (read !== undefined && log.wasRead(read)) return
      const about = { tenantId: caller?.tenantId ?? null, actor: caller ? actorOf(caller) : anonymous, target: { type, id } }
      const [old, entry] = await Promise.allSettled([
        caller ? before?.(caller, id ?? '').catch(unlessUnknown) : undefined,
        log.begin({ ...about, action, ip, userAgent: request.headers['user-agent'], requestId: request.id })
      ])
      if (entry.status === 'rejected') throw entry.reason
      request.trail = { id: entry.value, ...about, ...(read !== undefined && { read }) }
      if (old.status === 'rejected') throw old.reason
      request.trail.before = old.value
    }
  }

  /** Looked for of nobody, too, so that it takes the same time. */
  async function tenantOf (userId: string | null): Promise<string | null> {
    const [first] = await fastify.store.tenants.membershipsOf(userId ?? '')
    return first?.tenant.id ?? null
  }

  async function end (request: FastifyRequest, status: number): Promise<void> {
    const { trail } = request
    if (!trail || trail.hasEnded) return
    trail.hasEnded = true
    const isDone = status < 400
    try {
      await log.end(trail.id, {
        status,
        tenantId: trail.tenantId ?? await tenantOf(trail.actor.id),
        actor: trail.actor,
        target: trail.target,
        ...(isDone && { before: trail.before, after: trail.after })
      })
      if (isDone && trail.read !== undefined) log.noteRead(trail.read)
    } catch (err) {
      // It was done, and the entry says by whom: the answer stands.
      fastify.trackedLog(request.log).error({ err, auditEntry: trail.id }, 'the outcome could not be noted in the audit log')
    }
  }

  const keepValue = (only: RouteAudit['only']): preSerializationAsyncHookHandler<unknown> => async ({ trail }, reply, payload) => {
    if (!trail || reply.statusCode >= 400) return payload
    const { id } = payload as { id?: unknown }
    if (trail.target.id === null && typeof id === 'string') trail.target = { ...trail.target, id }
    if (only === undefined) trail.after = payload
    return payload
  }
  const beforeAnswer: onSendAsyncHookHandler = async (request, reply) => { await end(request, reply.statusCode) }
  // A stream of events never comes to the hook above. What has no answer yet may still get one, though its client has left.
  fastify.onAnswered((request, reply) => { if (reply.raw.headersSent) void end(request, reply.statusCode) })

  fastify.decorate('auditLog', log)
  fastify.decorateRequest('trail', null)
  fastify.decorateRequest('auditedAs', function (this: FastifyRequest, { tenantId, account, targetId }: AuditSubject) {
    if (!this.trail) return
    if (tenantId !== undefined) this.trail.tenantId = tenantId
    if (account) this.trail.actor = { kind: 'account', id: account.id, keyId: null, role: account.role ?? null }
    if (targetId !== undefined) this.trail.target = { ...this.trail.target, id: targetId }
  })

  // Before the hook of idempotency: a repeat that is only answered again has done nothing.
  fastify.addHook('onRoute', (route: RouteOptions) => {
    const audit = route.config?.audit
    if (!audit) return
    route.preHandler = [beginning(audit), ...[route.preHandler ?? []].flat()]
    route.preSerialization = [...[route.preSerialization ?? []].flat(), keepValue(audit.only)]
    route.onSend = [beforeAnswer, ...[route.onSend ?? []].flat()]
  })
}, { name: 'audit', dependencies: ['error-tracking', 'mongo', 'auth', 'answered'] })

function unlessUnknown (error: unknown): undefined {
  if (error instanceof ApiError && error.code === 'not_found') return undefined
  throw error
}
