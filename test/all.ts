import { glob } from 'node:fs/promises'
import { join, relative, resolve } from 'node:path'
import t, { type Test } from 'tap'

const root = import.meta.dirname

type End = () => Promise<void>

/** How to end what the file that runs now has started beside its tests. Undefined: it runs alone. */
let ends: End[] | undefined

/** Ends something after its test. What is started beside the tests of a file goes after the last of them, and not with the process. */
export function afterwards (test: Pick<Test, 'teardown'>, end: End): void {
  if (ends && Object.is(test, t)) ends.unshift(end)
  else test.teardown(end)
}

/** Runs all tests of some folders in this process: to start one takes longer than most of them. Each also runs alone. */
export async function runAll (...folders: readonly string[]): Promise<void> {
  const patterns = folders.map((folder) => join(relative(root, resolve(root, folder)), '!(all).test.ts'))
  const files = (await Promise.all(patterns.map(async (pattern) => (await Array.fromAsync(glob(pattern, { cwd: root }))).sort()))).flat()
  let left = files.length
  // However a process ends, what it did not run has not passed.
  process.once('exit', () => { if (left > 0) process.exitCode = 1 })
  for (const file of files) {
    ends = []
    // Tap takes the tests of a process for ended when none runs, so that one is running while a file is read.
    await t.test(`${file} is read`, async () => { await import(join(root, file)) })
    await t.test(`${file} leaves nothing running`, async () => {
      for (const end of ends!) await end()
      left--
    })
  }
}
