import { glob } from 'node:fs/promises'
import { join } from 'node:path'

/** Runs all tests of a folder in this process: to start one takes longer than most of them. Each also runs alone. */
export async function runAll (folder: string): Promise<void> {
  const files = await Array.fromAsync(glob('!(all).test.ts', { cwd: folder }))
  for (const file of files.sort()) await import(join(folder, file))
}
