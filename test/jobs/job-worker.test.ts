import { setImmediate } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { type Job } from '../../src/jobs/job-queue.ts'
import { JobWorker } from '../../src/jobs/job-worker.ts'

interface Named extends Job { readonly group: string }

/** A worker on a queue in memory, whose jobs end when they are told to. */
function work (test: Test, jobs: readonly Named[]) {
  const running = new Map<string, Array<() => void>>()
  const left = [...jobs]
  const worker = new JobWorker<Named>({
    queue: {
      dueGroups: async () => [...new Set(left.map(({ group }) => group))],
      async claim (group) {
        const at = left.findIndex((job) => job.group === group)
        return at < 0 ? undefined : left.splice(at, 1)[0]
      },
      renew: async () => true,
      release: async () => {}
    },
    run: async ({ group }, signal) => await new Promise((resolve) => {
      running.set(group, [...running.get(group) ?? [], () => { resolve(true) }])
      signal.addEventListener('abort', () => { resolve(false) })
    }),
    log: { warn () {}, error () {} },
    onRound () {},
    name: 'tests',
    atOnce: 128,
    atOncePerOwner: 32,
    atOncePerGroup: 8,
    graceMs: 0,
    slow: { afterMs: 1, atOnce: 1024, atOncePerOwner: 128 }
  })
  test.teardown(async () => await worker.close())
  const runs = (group: string) => running.get(group)?.length ?? 0
  return {
    runs: (group: string): number => runs(group),
    /** Lets what runs in a group end well, until so many have. */
    endsWell: async (group: string, count: number): Promise<void> => {
      for (let done = 0; done < count;) {
        const ends = running.get(group)?.splice(0) ?? []
        ends.forEach((end) => { end() })
        done += ends.length
        await setImmediate()
      }
    }
  }
}

const jobsOf = (group: string, count: number): Named[] => Array.from({ length: count }, (_, i) => ({ id: `${group} ${i}`, lease: 'mine', group }))

t.test('fifty groups of an owner that hang hold up neither another one of theirs nor other owners', async (t) => {
  const dead = Array.from({ length: 50 }, (_, i) => `mine/dead-${i}`)
  const { endsWell, runs } = work(t, [...dead.flatMap((group) => jobsOf(group, 20)), ...jobsOf('mine/well', 100), ...jobsOf('yours/well', 20)])
  await endsWell('yours/well', 20)
  await endsWell('mine/well', 100)
  t.ok(dead.every((group) => runs(group) > 0), 'and all of them have been tried')
})
