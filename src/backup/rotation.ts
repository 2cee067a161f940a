import { mkdir, readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { makeBackup, type Source } from './backup.ts'
import { type Manifest } from './manifest.ts'

const whole = /^parley-\d{8}T\d{6}Z$/
const half = /^parley-\d{8}T\d{6}Z\.partial$/

const named = (time: Date) => `parley-${time.toISOString().replace(/[-:]|\.\d+/g, '')}`

async function removeAll (folder: string, names: readonly string[]): Promise<void> {
  for (const name of names) await rm(join(folder, name), { recursive: true })
}

/**
 * Makes a backup in a folder of such, which is named by its time, and then removes all but the newest `keep`. What was left
 * by one that was killed goes first; so there is one at a time.
 */
export async function makeNextBackup (source: Source, folder: string, keep = Infinity): Promise<Manifest> {
  await mkdir(folder, { recursive: true, mode: 0o700 })
  await removeAll(folder, (await readdir(folder)).filter((name) => half.test(name)))
  const manifest = await makeBackup(source, join(folder, named(new Date())))
  const names = (await readdir(folder)).filter((name) => whole.test(name)).sort()
  await removeAll(folder, names.slice(0, Math.max(0, names.length - keep)))
  return manifest
}
