import { context, propagation, ROOT_CONTEXT, type Span, SpanKind, SpanStatusCode, trace } from '@opentelemetry/api'
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks'
import { W3CTraceContextPropagator } from '@opentelemetry/core'
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http'
import { resourceFromAttributes } from '@opentelemetry/resources'
import { BasicTracerProvider, BatchSpanProcessor } from '@opentelemetry/sdk-trace-base'
import { type TraceCall } from '../../src/llm/call-trace.ts'

/** The part of the driver's client that tells of commands. */
interface CommandSource {
  on (event: 'commandSucceeded' | 'commandFailed', listener: (event: { readonly commandName: string, readonly duration: number, readonly failure?: Error }) => void): unknown
}

const EXPORT_TIMEOUT_MS = 2000

export type Tracing = ReturnType<typeof startTracing>

/** Makes spans, and sends them to a collector by OTLP over HTTP. None of them holds what people write, and no query. */
export function startTracing (endpoint: string, service: string, version: string) {
  const exporter = new OTLPTraceExporter({ url: `${endpoint.replace(/\/+$/, '')}/v1/traces`, timeoutMillis: EXPORT_TIMEOUT_MS })
  const provider = new BasicTracerProvider({
    resource: resourceFromAttributes({ 'service.name': service, 'service.version': version }),
    spanProcessors: [new BatchSpanProcessor(exporter)]
  })
  const tracer = provider.getTracer('parley', version)
  const propagator = new W3CTraceContextPropagator()
  const contexts = new AsyncLocalStorageContextManager().enable()
  context.setGlobalContextManager(contexts)
  propagation.setGlobalPropagator(propagator)

  const traceCall: TraceCall = ({ model, temperature, topP, maxTokens }) => {
    const span = tracer.startSpan(`chat ${model}`, {
      kind: SpanKind.CLIENT,
      attributes: {
        'gen_ai.operation.name': 'chat',
        'gen_ai.provider.name': 'mistral_ai',
        'gen_ai.request.model': model,
        ...(temperature !== undefined && { 'gen_ai.request.temperature': temperature }),
        ...(topP !== undefined && { 'gen_ai.request.top_p': topP }),
        ...(maxTokens !== undefined && { 'gen_ai.request.max_tokens': maxTokens })
      }
    }, context.active())
    const headers: Record<string, string> = {}
    propagation.inject(trace.setSpan(context.active(), span), headers)
    return {
      headers,
      end ({ model: answered, outcome, status, finishReason, usage }) {
        span.setAttributes({
          'gen_ai.response.model': answered,
          'gen_ai.usage.input_tokens': usage.promptTokens,
          'gen_ai.usage.output_tokens': usage.completionTokens,
          ...(finishReason !== undefined && { 'gen_ai.response.finish_reasons': [finishReason] }),
          ...(status !== undefined && { 'http.response.status_code': status }),
          ...(outcome !== 'completed' && { 'error.type': outcome })
        })
        if (outcome !== 'completed' && outcome !== 'aborted') span.setStatus({ code: SpanStatusCode.ERROR, message: outcome })
        span.end()
      }
    }
  }

  return {
    traceCall,

    /** A request has come. */
    begin (method: string, route: string | undefined, headers: object): Span {
      return tracer.startSpan(route === undefined ? method : `${method} ${route}`, {
        kind: SpanKind.SERVER, attributes: { 'http.request.method': method, ...(route !== undefined && { 'http.route': route }) }
      }, propagation.extract(ROOT_CONTEXT, headers))
    },

    /** What `work` begins belongs to this span. */
    within (span: Span, work: () => void): void {
      context.with(trace.setSpan(ROOT_CONTEXT, span), work)
    },

    /** A request is over. */
    end (span: Span, status: number): void {
      span.setAttribute('http.response.status_code', status)
      if (status >= 500) span.setStatus({ code: SpanStatusCode.ERROR })
      span.end()
    },

    /** Makes a span of each command that is part of something. The driver tells of it, so that nothing of it must be patched. */
    watchStore (client: CommandSource): void {
      const command = (commandName: string, durationMs: number, failure?: Error) => {
        if (!trace.getSpan(context.active())) return
        const now = Date.now()
        const span = tracer.startSpan(commandName, {
          kind: SpanKind.CLIENT,
          startTime: now - durationMs,
          attributes: { 'db.system.name': 'mongodb', 'db.operation.name': commandName, ...(failure && { 'error.type': failure.name }) }
        }, context.active())
        if (failure) span.setStatus({ code: SpanStatusCode.ERROR })
        span.end(now)
      }
      client.on('commandSucceeded', ({ commandName, duration }) => command(commandName, duration))
      client.on('commandFailed', ({ commandName, duration, failure }) => command(commandName, duration, failure))
    },

    /** Sends what is left. */
    async close (): Promise<void> {
      await provider.shutdown().catch(() => {})
      context.disable()
      propagation.disable()
    }
  }
}
