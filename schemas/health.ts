import { OpenWord, Type } from './type.ts'

const words = ['ok', 'unavailable']

export const Health = Type.Object({
  status: OpenWord(words, { description: '`ok`, or `unavailable` while the store is away or the server is going down.' }),
  version: Type.String({ description: 'The version of the server.' }),
  uptime: Type.Number({ minimum: 0, description: 'Seconds since the start.' }),
  checks: Type.Record(Type.String(), Type.String(), { description: 'What was checked, and `ok` or what is wrong with it.' })
}, {
  $id: 'Health',
  description: 'How the server is.',
  examples: [{ status: 'ok', version: '0.1.0', uptime: 86.4, checks: { store: 'ok', turns: 'ok', model: 'offline' } }]
})

export const Liveness = Type.Object({
  status: OpenWord(words, { description: '`ok`, or `unavailable` where readiness is asked for and there is none.' })
}, { $id: 'Liveness', description: 'Whether it answers.', examples: [{ status: 'ok' }] })
