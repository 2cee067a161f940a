import { type IncomingMessage, type ServerResponse } from 'node:http'
import { type Socket } from 'node:net'
import { PromptCache } from './replies/usage.ts'
import { hex } from './digest.ts'
import { invalidBody } from './errors/api-failure.ts'
import { failureReply, orFailure } from './errors/failure-reply.ts'
import { replacement, withFault } from './faults/apply.ts'
import { checkHeaderFault } from './faults/check.ts'
import { Dice } from './faults/dice.ts'
import { type Fault } from './faults/schema.ts'
import { FaultScript, type Scripted } from './faults/script.ts'
import { authenticate } from './http/authentication.ts'
import { type ParsedBody, parseBody, readBody } from './http/body.ts'
import { type Cadence } from './http/cadence.ts'
import { control, type Controlled, isControlPath } from './http/control.ts'
import { Recording, type RequestRecord } from './http/recording.ts'
import { plainReply, type Reply } from './http/reply.ts'
import { findRoute, type Found } from './http/routes.ts'
import { send } from './http/send.ts'
import { Wire } from './http/wire.ts'
import { costOf } from './limiter/cost.ts'
import { type Admission, Limiter } from './limiter/limiter.ts'
import { type Settings } from './options.ts'

/** A request on its way through the checks. */
interface Exchange {
  request: IncomingMessage
  record: RequestRecord
  /** Tells this request from others, the same in two runs. */
  requestId: string
  found: Found
  body: ParsedBody
  fault: Fault
  cadence: Cadence
}

/** What a simulator remembers, and how it answers a request. */
export class Simulator implements Controlled {
  readonly #settings: Settings
  readonly #recording: Recording
  readonly #script: FaultScript
  readonly #limiter: Limiter
  readonly #cache: PromptCache
  #unexpected: RequestRecord[] = []

  constructor (settings: Settings) {
    this.#settings = settings
    this.#recording = new Recording(settings.clock)
    this.#script = new FaultScript(new Dice(settings.seed))
    this.#limiter = new Limiter(settings.limits, settings.clock)
    this.#cache = new PromptCache(settings.tokenizer)
  }

  requests (): readonly RequestRecord[] {
    return this.#recording.all()
  }

  clearRequests (): void {
    this.#recording.clear()
  }

  script (entries: unknown): void {
    this.#script.add(entries)
  }

  /** Forgets requests, script, budgets and cached prompts, counts from one again; what strict mode has found stays. */
  reset (): void {
    this.#recording.restart()
    this.#script.clear()
    this.#limiter.reset()
    this.#cache.clear()
  }

  /** Resolves when no request is being answered. */
  idle (): Promise<void> {
    return this.#recording.idle()
  }

  /** Requests with schema errors that nobody said to expect; empty unless strict. */
  unexpected (): readonly RequestRecord[] {
    return this.#unexpected
  }

  /** Lets a new connection in, or resets it before anything is read. */
  accept (socket: Socket): void {
    const fault = this.#script.forConnection()
    if (fault === undefined) return
    this.#recording.refused(socket, fault)
    socket.resetAndDestroy()
  }

  /** Answers one request; never rejects. */
  async handle (request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { cadence, clock } = this.#settings
    const [path = '/', query = ''] = (request.url ?? '/').split('?', 2)
    const isControl = this.#settings.control && isControlPath(path)
    const record = this.#recording.open(request, response, path, query, !isControl)
    const wire = new Wire(response, record, clock)
    try {
      const raw = await readBody(request)
      const body = parseBody(raw, request.headers['content-type'])
      if (isControl) {
        return await send(plainReply(200, control(record.method, path, body, this)), cadence, wire, clock)
      }
      this.#recording.setBody(record, raw, body.json ?? null)
      const exchange = this.#begin(request, record, body)
      await send(this.#replyTo(exchange, response), exchange.cadence, wire, clock)
    } catch (error) {
      if (response.headersSent) response.destroy()
      else await send(failureReply(error), cadence, wire, clock)
    }
  }

  #begin (request: IncomingMessage, record: RequestRecord, body: ParsedBody): Exchange {
    const found = findRoute(record.method, record.path, this.#settings)
    this.#check(record, found, body)
    const { fault, cadence } = this.#scripted(request, record, body)
    record.fault = fault ?? null
    return {
      request,
      record,
      requestId: hex(String(record.seq), 32),
      found,
      body,
      fault: fault ?? {},
      cadence: { ...this.#settings.cadence, ...cadence }
    }
  }

  /** Holds the body against its schema, whatever the reply will be: strict mode is about what was sent. */
  #check (record: RequestRecord, found: Found, body: ParsedBody): void {
    if (!('post' in found)) return
    record.schemaErrors = body.problem === undefined ? found.post.validate(body.json) : [body.problem]
    const { strict } = this.#settings
    if (record.schemaErrors.length === 0 || strict === false) return
    if (strict === true || !strict(record)) this.#unexpected.push(record)
  }

  #scripted ({ headers }: IncomingMessage, { path, rawBody }: RequestRecord, { json }: ParsedBody): Scripted {
    const own = headers['x-sim-fault']
    if (this.#settings.headerFaults && typeof own === 'string') return { fault: checkHeaderFault(own) }
    return this.#script.forRequest({ path, rawBody, model: modelOf(json) })
  }

  #replyTo (exchange: Exchange, response: ServerResponse): Reply {
    const { fault, requestId } = exchange
    const now = this.#settings.clock.now()
    const reply = replacement(fault, { requestId, now }) ?? this.#ownReply(exchange, response)
    return withFault({ ...reply, headers: { ...traceHeaders(requestId), ...reply.headers } }, fault)
  }

  #ownReply (exchange: Exchange, response: ServerResponse): Reply {
    return orFailure(() => {
      const admission = this.#admit(exchange)
      const reply = orFailure(() => this.#generate(exchange))
      response.once('close', () => admission.settle(reply.tokens))
      return { ...reply, headers: { ...reply.headers, ...admission.headers } }
    })
  }

  #admit ({ request, requestId, body }: Exchange): Admission {
    const key = authenticate(request.headers, this.#settings, requestId)
    const cost = costOf(body.json, this.#settings.tokenizer)
    return this.#limiter.admit({ key, model: modelOf(body.json) ?? '', cost, requestId })
  }

  #generate ({ record, found, body, fault, cadence }: Exchange): Reply {
    if ('failure' in found) throw found.failure
    if ('reply' in found) return found.reply
    if (body.problem !== undefined || record.schemaErrors.length > 0) {
      throw invalidBody(record.schemaErrors, this.#settings.problemShape)
    }
    return found.post.answer(body.json, {
      settings: this.#settings,
      cadence,
      cache: this.#cache,
      seq: record.seq,
      canonical: body.canonical,
      content: fault.emptyContent === true ? '' : fault.content
    })
  }
}

function modelOf (body: unknown): string | undefined {
  const model = typeof body === 'object' && body !== null && 'model' in body ? body.model : undefined
  return typeof model === 'string' ? model : undefined
}

function traceHeaders (requestId: string): Record<string, string> {
  return { 'mistral-correlation-id': hex(`correlation ${requestId}`, 32), 'x-kong-request-id': requestId }
}
