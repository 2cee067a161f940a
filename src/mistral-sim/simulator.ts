import { type IncomingMessage, type ServerResponse } from 'node:http'
import { type ParsedBody, parseBody, readBody } from './http/body.ts'
import { type Answer } from './replies/call.ts'
import { control, type Controlled, isControlPath } from './http/control.ts'
import { hex } from './digest.ts'
import { ApiFailure, errorBody, invalidBody, refusal, usualText } from './errors/api-failure.ts'
import { type Fault, FaultScript, type ScriptEntry } from './faults/script.ts'
import { withFault } from './faults/fault-steps.ts'
import { authenticate, Limiter } from './http/gate.ts'
import { type Settings } from './options.ts'
import { Recording, type RequestRecord } from './http/recording.ts'
import { findRoute, type Found } from './http/routes.ts'
import { type Cadence, playBody, playStream, type Step } from './http/stream.ts'
import { PromptCache } from './replies/usage.ts'
import { Wire } from './http/wire.ts'

/** What a simulator remembers, and how it answers a request. */
export class Simulator implements Controlled {
  readonly #settings: Settings
  readonly #recording: Recording
  readonly #faults = new FaultScript()
  readonly #limiter: Limiter
  readonly #cache: PromptCache
  #unexpected: RequestRecord[] = []

  constructor (settings: Settings) {
    this.#settings = settings
    this.#recording = new Recording(settings.clock)
    this.#limiter = new Limiter(settings)
    this.#cache = new PromptCache(settings.tokenizer)
  }

  requests (): readonly RequestRecord[] {
    return this.#recording.all()
  }

  clearRequests (): void {
    this.#recording.clear()
  }

  script (entries: readonly ScriptEntry[]): void {
    this.#faults.add(entries)
  }

  /** Forgets requests, script and cached prompts and counts from one again; what strict mode has found stays. */
  reset (): void {
    this.#recording.restart()
    this.#faults.clear()
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

  /** Answers one request; never rejects. */
  async handle (request: IncomingMessage, response: ServerResponse): Promise<void> {
    const [path = '/', query = ''] = (request.url ?? '/').split('?', 2)
    const isControl = this.#settings.control && isControlPath(path)
    const record = this.#recording.open(request, response, path, query, !isControl)
    const wire = new Wire(response, record, this.#settings.clock)
    try {
      const raw = await readBody(request)
      const parsed = parseBody(raw, request.headers['content-type'])
      if (isControl) return await wire.send(200, control(record.method, path, parsed.json, this))
      this.#recording.setBody(record, raw, parsed.json ?? null)
      await this.#answer(request, record, parsed, wire)
    } catch (error) {
      const failure = error instanceof ApiFailure ? error : brokenInside()
      await wire.send(failure.status, failure.body, traceHeaders(record))
    }
  }

  async #answer (request: IncomingMessage, record: RequestRecord, parsed: ParsedBody, wire: Wire): Promise<void> {
    const settings = this.#settings
    const found = findRoute(record.method, record.path, settings)
    this.#check(record, found, parsed)
    const entry = this.#faults.take(record.path, record.rawBody, modelOf(parsed.json))
    const fault = entry?.fault ?? {}
    record.fault = entry?.fault ?? null
    if (await answersInstead(fault, record, wire, settings)) return
    this.#limiter.admit(authenticate(request.headers, settings, hex(String(record.seq), 32)))
    const cadence = { ...settings.cadence, ...entry?.cadence }
    await this.#reply(this.#generate(record, found, parsed, fault, cadence), record, fault, cadence, wire)
  }

  /** Holds the body against its schema, whatever the reply will be: strict mode is about what was sent. */
  #check (record: RequestRecord, found: Found, parsed: ParsedBody): void {
    if (!('post' in found)) return
    record.schemaErrors = parsed.problem === undefined ? found.post.validate(parsed.json) : [parsed.problem]
    const { strict } = this.#settings
    if (record.schemaErrors.length === 0 || strict === false) return
    if (strict === true || !strict(record)) this.#unexpected.push(record)
  }

  #generate (record: RequestRecord, found: Found, parsed: ParsedBody, fault: Fault, cadence: Cadence): Answer {
    if ('failure' in found) throw found.failure
    if ('json' in found) return found
    if (parsed.problem !== undefined || record.schemaErrors.length > 0) {
      throw invalidBody(record.schemaErrors, this.#settings.problemShape)
    }
    return found.post.answer(parsed.json, {
      settings: this.#settings,
      cadence,
      cache: this.#cache,
      seq: record.seq,
      canonical: parsed.canonical,
      emptyContent: fault.emptyContent === true
    })
  }

  async #reply (answer: Answer, record: RequestRecord, fault: Fault, cadence: Cadence, wire: Wire): Promise<void> {
    if ('json' in answer) {
      const text = JSON.stringify(answer.json)
      const steps = withFault(halves(text), fault)
      const whole = steps.every(({ kind }) => kind === 'piece')
      if (whole && fault.malformed === undefined && fault.errorChunk === undefined) {
        return wire.send(200, answer.json, traceHeaders(record))
      }
      wire.head(200, { 'content-type': 'application/json', ...traceHeaders(record) })
      return playBody(steps, wire)
    }
    wire.head(200, { 'content-type': 'text/event-stream; charset=utf-8', ...traceHeaders(record) })
    const manner = { ...cadence, done: cadence.done && answer.open !== true }
    return playStream(withFault(answer.steps, fault), manner, wire, this.#settings.clock)
  }
}

/** The faults that stand in place of the reply. True: there is nothing more to send. */
async function answersInstead (
  fault: Fault, record: RequestRecord, wire: Wire, { clock }: Settings
): Promise<boolean> {
  if (fault.latencyMs !== undefined) await clock.wait(fault.latencyMs, wire.signal)
  if (fault.hang === true) await wire.hang()
  else if (fault.reset !== undefined && 'at' in fault.reset) await wire.resetInHeaders()
  else if (fault.status !== undefined) {
    const { code, bodyShape = 'mistral', headers } = fault.status
    const body = errorBody(bodyShape, code, hex(String(record.seq), 32))
    await wire.send(code, body, { ...traceHeaders(record), ...headers })
  } else return wire.signal.aborted
  return true
}

function halves (text: string): Step[] {
  const middle = Math.ceil(text.length / 2)
  return [{ kind: 'piece', text: text.slice(0, middle) }, { kind: 'piece', text: text.slice(middle) }]
}

function modelOf (body: unknown): unknown {
  return typeof body === 'object' && body !== null && 'model' in body ? body.model : undefined
}

function traceHeaders (record: RequestRecord): Record<string, string> {
  return { 'mistral-correlation-id': hex(`correlation ${record.seq}`, 32) }
}

function brokenInside (): ApiFailure {
  const { message, type, code } = usualText(500)
  return refusal(500, message, type, code)
}
