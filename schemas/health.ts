import { OpenWord, Type } from './type.ts'

export const Health = Type.Object({
  status: OpenWord(['ok', 'degraded', 'unavailable'], {
    description: '`ok`; `degraded` where it serves and one of the other checks is not well; `unavailable` while the store is away or the server is going down.'
  }),
  version: Type.String({ description: 'The version of the server.' }),
  uptime: Type.Number({ minimum: 0, description: 'Seconds since the start.' }),
  checks: Type.Record(Type.String(), Type.String(), {
    description: 'What was checked, and `ok`, `not used`, or what is wrong with it: `store`; `turns`, whether new ones are taken; `upstream`, which is ' +
      'never called for this; `jobs`, whether they are begun in time; `disk`, where the data of an embedded store are. `model` is the name of the provider.'
  })
}, {
  $id: 'Health',
  description: 'How the server is.',
  examples: [{ status: 'ok', version: '0.1.0', uptime: 86.4, checks: { store: 'ok', turns: 'ok', model: 'offline', upstream: 'not used', jobs: 'ok', disk: 'ok' } }]
})

export const Liveness = Type.Object({
  status: OpenWord(['ok', 'unavailable'], { description: '`ok`, or `unavailable` where readiness is asked for and there is none.' })
}, { $id: 'Liveness', description: 'Whether it answers.', examples: [{ status: 'ok' }] })
