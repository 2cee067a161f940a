import { AsyncResource } from 'node:async_hooks'
import fp from 'fastify-plugin'
import { Counter } from 'prom-client'
import { ApiError } from '../src/errors.ts'
import { LoadGate, WINDOW_MS } from '../src/limits/load-gate.ts'
import { answerError } from './errors.ts'
import { state } from './metrics/state.ts'

declare module 'fastify' {
  interface FastifyInstance {
    load: LoadGate
  }
  interface FastifyContextConfig {
    /** Answered at once, whatever else there is to do: for those who look after the server. */
    urgent?: true
  }
}

// Made once, since they are to cost little; several, so that those who are refused together do not come back together.
const refusalsToTell = [1, 2, 3].map((seconds) => new ApiError('overloaded', {
  detail: 'There is more to do than can be done. Nothing was done of this.',
  headers: { 'retry-after': String(seconds) }
}))

/**
 * Under overload, refuses what would only make everything slow: before it is known who asks, and before a body is read. What was
 * let in is never refused any more.
 */
export default fp<{ mayWait: number | undefined }>(async (fastify, { mayWait }) => {
  const refusals = new Counter({
    name: 'overload_refusals_total', help: 'Requests refused because there was too much to do.', registers: [fastify.metrics]
  })
  let told = 0
  const gate = new LoadGate({
    now: () => performance.now(),
    afterTurn: setImmediate,
    afterPause: (callback) => { setTimeout(callback, 1) },
    isStoreBusy: () => fastify.store.load.isBusy(),
    onChange (isOverloaded) {
      if (isOverloaded) fastify.log.warn('overloaded: requests are refused')
      else fastify.log.info('not overloaded any more')
    }
  }, mayWait)
  fastify.decorate('load', gate)
  state(fastify.metrics, 'requests_waiting', 'Requests that wait to be begun.', () => gate.waiting)
  state(fastify.metrics, 'overloaded', '1: there is more to do than can be done, and requests are refused.', () => Number(gate.isOverloaded))

  fastify.addHook('onRequest', (request, reply, done) => {
    const { config } = request.routeOptions
    if (config.urgent || config.scope === 'platform' || gate.isOpen()) return done()
    const later = new AsyncResource('LoadGate')
    gate.lineUp({
      enter: () => { later.runInAsyncScope(done) },
      refuse () {
        refusals.inc()
        answerError(refusalsToTell[told++ % refusalsToTell.length]!, request, reply)
      },
      isGone: () => reply.raw.destroyed
    })
  })

  const timer = setInterval(() => gate.judge(), WINDOW_MS).unref()
  fastify.addHook('onClose', async () => clearInterval(timer))
}, { name: 'load', dependencies: ['metrics', 'mongo', 'errors'] })
