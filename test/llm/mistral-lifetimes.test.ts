import t from 'tap'
import { type ApiError } from '../../src/errors.ts'
import {
  type Exchange, ask, begin, bodyOf, chunk, codeOf, completion, connect, done, drain, event, startSockets,
  startUpstream, streamOf, talk
} from './mistral-upstream.ts'

// Those that wait for a deadline wait side by side.
t.test('how long calls live', { jobs: 8 }, async (t) => {
  t.test('each deadline ends the call with upstream_timeout and closes its socket', { buffered: true }, async (t) => {
    const silent = (): void => {}
    interface Case { answer: (exchange: Exchange) => void, options: object, stream?: boolean, texts?: string[] }
    const cases: Record<string, Case> = {
      'no head': { answer: silent, options: { firstTokenTimeoutMs: 20 } },
      'a head and no text': {
        answer: ({ response }) => begin(response, chunk('')), options: { firstTokenTimeoutMs: 20 }
      },
      'silence after text': {
        answer: ({ response }) => begin(response, chunk('Hello')),
        options: { idleTimeoutMs: 20 },
        texts: ['Hello']
      },
      'nothing but comments after text': {
        answer: ({ response }) => {
          begin(response, chunk('Hello'))
          const beat = setInterval(() => response.write(': alive\n\n'), 2)
          response.on('close', () => clearInterval(beat))
        },
        options: { idleTimeoutMs: 40 },
        texts: ['Hello']
      },
      'a stream that goes on and on': {
        answer: ({ response }) => {
          begin(response, chunk('Hello'))
          const beat = setInterval(() => response.write(event(chunk(''))), 2)
          response.on('close', () => clearInterval(beat))
        },
        options: { timeoutMs: 400 },
        texts: ['Hello']
      },
      'an answer in one piece that does not come': { answer: silent, options: { timeoutMs: 20 }, stream: false },
      'an answer in one piece that stops': {
        answer: ({ response }) => { response.write('{"choices":') }, options: { timeoutMs: 40 }, stream: false
      }
    }
    for (const [name, { answer, options, stream = true, texts = [] }] of Object.entries(cases)) {
      const upstream = await startUpstream(t, answer)
      const { provider, log } = connect(t, upstream.url, options)
      const reply = await talk(provider, { stream })
      t.equal(codeOf(reply), 'upstream_timeout', name)
      t.strictSame(reply.texts, texts, name)
      await upstream.exchanges[0]?.disconnected
      t.match(log, [{ facts: { code: 'upstream_timeout' } }], name)
    }
  })

  t.test('an answer in one piece may come slowly, and is asked for as a stream where it does not come', async (t) => {
    const upstream = await startUpstream(t, ({ request, response }) => {
      if (request.headers.accept !== 'text/event-stream') return response.write(' ')
      begin(response, chunk('Hel'), chunk('lo', 'stop'))
      response.end(done)
    })
    const { provider } = connect(t, upstream.url, { firstTokenTimeoutMs: 1000, idleTimeoutMs: 20, retry: { baseMs: 1 } })
    const { texts, end } = await talk(provider, { stream: false })
    t.strictSame(texts, ['Hello'], 'in one piece all the same')
    t.equal(end?.finishReason, 'stop')
    t.strictSame(upstream.exchanges.map(({ body }) => (JSON.parse(body) as { stream: boolean }).stream), [false, true])
  })

  t.test('a stream that breaks for somebody who has been given nothing is asked for again', async (t) => {
    let streams = 0
    const upstream = await startUpstream(t, ({ request, response }) => {
      if (request.headers.accept !== 'text/event-stream') return
      begin(response, chunk('Hel'))
      if (++streams < 2) response.end()
      else response.end(event(chunk('lo', 'stop')) + event('[DONE]'))
    })
    const options = { firstTokenTimeoutMs: 30, retry: { baseMs: 1 } }
    const { texts } = await talk(connect(t, upstream.url, options).provider, { stream: false })
    t.strictSame([texts, upstream.exchanges.length], [['Hello'], 3])
    const failed = await talk(connect(t, upstream.url, { ...options, retry: { baseMs: 1, attempts: 2 } }).provider, { stream: false })
    t.strictSame([failed.texts, codeOf(failed)], [['Hello'], undefined])
    streams = -1
    const cut = await talk(connect(t, upstream.url, { ...options, retry: { baseMs: 1, attempts: 2 } }).provider, { stream: false })
    t.strictSame([cut.texts, codeOf(cut)], [['Hel'], 'upstream_failed'], 'the last attempt\'s text is not lost')
  })

  t.test('an answer that takes its time between the deadlines is read', { buffered: true }, async (t) => {
    const hints = await startSockets(t, (socket) => {
      socket.once('data', () => {
        socket.write('HTTP/1.1 103 Early Hints\r\n\r\n')
        setTimeout(() => socket.end(`HTTP/1.1 200 OK\r\n\r\n${JSON.stringify(completion('Hello'))}`), 1200)
      })
    })
    const hinted = talk(connect(t, `http://${hints}`).provider, { stream: false })
    const slow = await startUpstream(t, ({ response }) => {
      begin(response, chunk('a'))
      const rest = [...'bcdefghi'].map((content) => event(chunk(content)))
      const beat = setInterval(() => {
        const next = rest.shift()
        if (next !== undefined) return response.write(next)
        clearInterval(beat)
        response.end(event(chunk('j', 'stop')))
      }, 100)
    })
    const { texts, end } = await talk(connect(t, slow.url, { idleTimeoutMs: 600 }).provider)
    t.equal(texts.join(''), 'abcdefghij', 'in all it took longer than one silence may')
    t.equal(end?.finishReason, 'stop')
    t.strictSame((await hinted).texts, ['Hello'], '1xx are no answer')
  })

  t.test('a connection that does not come to stand is given up', { buffered: true }, async (t) => {
  // Over TLS a connection stands when the handshake is done, and this server never answers one.
    const mute = await startSockets(t, () => {})
    const { provider } = connect(t, `https://${mute}`, { connectTimeoutMs: 20, firstTokenTimeoutMs: 1 })
    const reply = await talk(provider)
    t.equal(codeOf(reply), 'upstream_timeout')
    t.match(reply.error, { cause: { code: 'UND_ERR_CONNECT_TIMEOUT' } })
  })

  t.test('the wait for a connection counts into the total only', { buffered: true }, async (t) => {
    let answered = false
    const upstream = await startUpstream(t, ({ response }) => {
      if (answered) return streamOf(event(chunk('Hello', 'stop')), done)({ response } as Exchange)
      answered = true
      begin(response, chunk('First'))
    })
    const limits = { firstTokenTimeoutMs: 500, idleTimeoutMs: 600, timeoutMs: 5000 }
    const { provider } = connect(t, upstream.url, { maxConcurrency: 1, ...limits })
    const [first, second] = await Promise.all([talk(provider), talk(provider)])
    t.equal(codeOf(first), 'upstream_timeout')
    t.equal(second.end?.finishReason, 'stop', 'it waited longer than its own first text may take')
    const hung = await startUpstream(t, () => {})
    const full = connect(t, hung.url, { maxConcurrency: 1, timeoutMs: 40 })
    const replies = await Promise.all([talk(full.provider), talk(full.provider)])
    t.strictSame(replies.map(codeOf), ['upstream_timeout', 'upstream_timeout'])
  })

  t.test('a refusal whose body never ends is told all the same', { buffered: true }, async (t) => {
    const upstream = await startUpstream(t, ({ response }) => {
      response.writeHead(500)
      response.write('{"message":')
    })
    const { provider, log } = connect(t, upstream.url, { firstTokenTimeoutMs: 120_000, timeoutMs: 120_000 })
    t.equal(codeOf(await talk(provider)), 'upstream_failed')
    await upstream.exchanges[0]?.disconnected
    t.match(log, [{ facts: { status: 500, bytes: 11 } }])
  })

  t.test('a finished answer is complete though its connection stays open', { buffered: true }, async (t) => {
    const after = async (...events: Array<object | string>) => {
      const upstream = await startUpstream(t, ({ response }) => {
        response.setHeader('content-type', 'text/event-stream')
        response.write(events.map(event).join(''))
      })
      const reply = await talk(connect(t, upstream.url, { idleTimeoutMs: 30 }).provider)
      await upstream.exchanges[0]?.disconnected
      return reply.end?.finishReason
    }
    const reasons = [after(chunk('Hello', 'stop'), '[DONE]'), after(chunk('Hello', 'length'))]
    t.strictSame(await Promise.all(reasons), ['stop', 'length'])
  })

  t.test('what nobody needs is not read for long', async (t) => {
    let packets = 0
    const endless = ({ response }: Exchange): void => {
      packets = 0
      const more = setInterval(() => response.write(': '.repeat(20_000), () => { packets++ }), 1)
      response.on('close', () => clearInterval(more))
    }
    const talkative = await startUpstream(t, (exchange) => {
      begin(exchange.response, chunk('Hello', 'stop'))
      exchange.response.write(done)
      endless(exchange)
    })
    t.equal((await talk(connect(t, talkative.url).provider)).end?.finishReason, 'stop')
    await talkative.exchanges[0]?.disconnected
    t.ok(packets < 300, `after the closing mark it could send ${packets} packets`)
    const refusing = await startUpstream(t, (exchange) => {
      exchange.response.writeHead(500)
      endless(exchange)
    })
    t.equal(codeOf(await talk(connect(t, refusing.url).provider)), 'upstream_failed')
    await refusing.exchanges[0]?.disconnected
    t.ok(packets < 300, `after the status of a refusal it could send ${packets} packets`)
  })

  t.test('a connection serves again after an answer was read to its end', async (t) => {
    const upstream = await startUpstream(t, streamOf(event(chunk('Hello', 'stop')) + done))
    const { provider } = connect(t, upstream.url, { maxConcurrency: 1 })
    for (let i = 0; i < 5; i++) await talk(provider)
    t.equal(upstream.accepted(), 1)
    const refusing = await startUpstream(t, bodyOf({ detail: 'Not Found' }, 404))
    const refused = connect(t, refusing.url, { maxConcurrency: 1 })
    for (let i = 0; i < 5; i++) await talk(refused.provider)
    t.equal(refusing.accepted(), 1, 'and after a refusal')
  })

  t.test('an abort closes the upstream socket and is what the reader is told', async (t) => {
    const reason = new Error('stopped')
    const hung = await startUpstream(t, () => {})
    const { provider, log } = connect(t, hung.url, { maxConcurrency: 1 })
    t.equal((await talk(provider, { signal: AbortSignal.abort(reason) })).error, reason, 'before it began')
    t.equal(hung.accepted(), 0)

    const controller = new AbortController()
    const waiting = talk(provider, { signal: controller.signal })
    const queued = talk(provider, { signal: controller.signal })
    while (hung.exchanges.length === 0) await new Promise(setImmediate)
    controller.abort(reason)
    t.equal((await waiting).error, reason, 'before the head')
    t.equal((await queued).error, reason, 'while it waited for a connection')
    await hung.exchanges[0]?.disconnected
    t.equal(hung.exchanges.length, 1)

    const upstream = await startUpstream(t, ({ response }) => begin(response, chunk('Hello')))
    const streaming = connect(t, upstream.url)
    const stop = new AbortController()
    const texts: string[] = []
    await t.rejects(async () => {
      for await (const event of streaming.provider.generate(ask('Hi'), { stream: true, signal: stop.signal })) {
        if (event.type === 'text') texts.push(event.text)
        stop.abort(reason)
      }
    }, reason)
    t.strictSame(texts, ['Hello'])
    await upstream.exchanges[0]?.disconnected
    t.strictSame([...log, ...streaming.log], [], 'an abort is no failure of the model')
  })

  t.test('leaving the iterator closes the upstream socket', async (t) => {
    const upstream = await startUpstream(t, ({ response }) => begin(response, chunk('He'), chunk('llo')))
    const { provider } = connect(t, upstream.url)
    const signal = new AbortController().signal
    let read = 0
    for await (const event of provider.generate(ask('Hi'), { stream: true, signal })) {
      t.match(event, { type: 'text', text: 'He' })
      if (++read === 1) break
    }
    await upstream.exchanges[0]?.disconnected

    const iterator = provider.generate(ask('Hi'), { stream: true, signal })[Symbol.asyncIterator]()
    t.match(await iterator.next(), { value: { text: 'He' } })
    t.match(await iterator.next(), { value: { text: 'llo' } })
    const pending = iterator.next()
    t.strictSame(await iterator.return?.(), { value: undefined, done: true })
    t.strictSame(await pending, { value: undefined, done: true }, 'a read that waits is let go')
    t.strictSame(await iterator.next(), { value: undefined, done: true })
    await upstream.exchanges[1]?.disconnected
  })

  t.test('an abort or a return after the end changes nothing', async (t) => {
    const upstream = await startUpstream(t, streamOf(event(chunk('Hello', 'stop')), done))
    const { provider } = connect(t, upstream.url)
    const controller = new AbortController()
    const iterator = provider.generate(ask('Hi'), { stream: true, signal: controller.signal })[Symbol.asyncIterator]()
    t.match(await iterator.next(), { value: { text: 'Hello' } })
    t.match(await iterator.next(), { value: { type: 'end' } })
    controller.abort()
    t.strictSame(await iterator.next(), { value: undefined, done: true })
    t.strictSame(await iterator.return?.(), { value: undefined, done: true })
  })

  t.test('200 streams aborted one after the other leave no socket', async (t) => {
    const upstream = await startUpstream(t, ({ response }) => begin(response, chunk('Hello')))
    const { provider } = connect(t, upstream.url)
    for (let i = 0; i < 200; i++) {
      const controller = new AbortController()
      const iterator = provider.generate(ask('Hi'), { stream: true, signal: controller.signal })[Symbol.asyncIterator]()
      await iterator.next()
      controller.abort()
      await iterator.next().catch(() => {})
    }
    await Promise.all(upstream.exchanges.map(({ disconnected }) => disconnected))
    t.equal(upstream.exchanges.length, 200)
    t.equal(await upstream.open(), 0)
  })

  t.test('the calls that wait are bounded, and their places come free', async (t) => {
    let hang = true
    const upstream = await startUpstream(t, (exchange) => hang ? undefined : bodyOf(completion('Hello'))(exchange))
    const { provider } = connect(t, upstream.url, { maxConcurrency: 1 })
    const controllers = Array.from({ length: 1025 }, () => new AbortController())
    const waiting = controllers.map(({ signal }) => talk(provider, { signal }))
    const refused = await talk(provider)
    t.equal(codeOf(refused), 'overloaded')
    t.strictSame((refused.error as ApiError).headers, { 'retry-after': '1' })
    hang = false
    for (const controller of controllers) controller.abort()
    await Promise.all(waiting)
    // The pool drops what was aborted as its connections come free.
    let reply = await talk(provider, { stream: false })
    while (codeOf(reply) === 'overloaded') {
      await new Promise(setImmediate)
      reply = await talk(provider, { stream: false })
    }
    t.strictSame(reply.texts, ['Hello'])
    t.ok(upstream.exchanges.length <= 2, 'of those that waited none was sent after its abort')
  })

  t.test('closing ends what runs, and nothing begins afterwards', async (t) => {
    const upstream = await startUpstream(t, ({ response }) => begin(response, chunk('Hello')))
    const { provider } = connect(t, upstream.url)
    t.equal(provider.name, 'mistral')
    const { signal } = new AbortController()
    const iterator = provider.generate(ask('Hi'), { stream: true, signal })[Symbol.asyncIterator]()
    await iterator.next()
    await provider.close()
    await t.rejects(iterator.next(), { code: 'upstream_failed' })
    await upstream.exchanges[0]?.disconnected
    t.equal(codeOf(await talk(provider)), 'upstream_unavailable')
    await provider.close()
  })

  t.test('a reader that comes late loses nothing', async (t) => {
    const upstream = await startUpstream(t, streamOf(event(chunk('a')), event(chunk('b')), event(chunk('c'))))
    const { provider, log } = connect(t, upstream.url)
    const events = provider.generate(ask('Hi'), { stream: true, signal: new AbortController().signal })
    const iterator = events[Symbol.asyncIterator]()
    while (log.length === 0) await new Promise(setImmediate)
    const reply = await drain({ [Symbol.asyncIterator]: () => iterator })
    t.strictSame(reply.texts, ['a', 'b', 'c'])
    t.equal(codeOf(reply), 'upstream_failed')
  })
})
