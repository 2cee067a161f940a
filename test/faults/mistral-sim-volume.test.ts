import t from 'tap'
import { post, simFor } from '../mistral-sim/support.ts'

t.test('the recording of mistral-sim is bounded in bytes', async (t) => {
  const sim = await simFor(t)
  for (let index = 0; index < 4; index++) await post(sim, '/v1/chat/completions', 'x'.repeat(20 * 1024 * 1024))
  t.same(sim.requests().map(({ seq }) => seq), [2, 3, 4])
})
