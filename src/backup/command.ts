import { parseArgs } from 'node:util'
import { loadConfig } from '../config.ts'
import { startFailure } from '../start-failure.ts'
import { makeBackup } from './backup.ts'
import { BackupError, type Manifest } from './manifest.ts'
import { restoreBackup, verifyBackup } from './restore.ts'
import { makeNextBackup } from './rotation.ts'
import { sourceOf, targetOf } from './stores.ts'

const usage = `npm run backup -- --to <folder>                 makes a backup; the folder must not be there yet
npm run backup -- --into <folder> [--keep <n>]  makes one in that folder, named by its time, and keeps the newest n there
npm run backup -- --verify <folder>             reads a backup and checks it
npm run restore -- --from <folder>              restores it to an empty store
npm run restore -- --from <folder> --replace    the same, in the place of what is there

The store is that of the server: MONGODB_URI and MONGODB_DATABASE, or DATA_DIR.
`

type Environment = Readonly<Record<string, string | undefined>>

interface Task {
  readonly done: string
  readonly folder: string
  readonly run: () => Promise<Manifest>
}

/** What a command has to say, and the code that it ends with. */
export interface Outcome {
  readonly code: 0 | 1 | 2
  readonly stdout: string
  readonly stderr: string
}

const text = { type: 'string' } as const

/** What is asked for. Throws where nothing is, or too much. */
function taskOf ([command, ...args]: string[], env: Environment): Task {
  if (command === 'backup') return backupTask(parseArgs({ args, options: { to: text, into: text, keep: text, verify: text } }).values, env)
  const { from, replace = false } = parseArgs({ args, options: { from: text, replace: { type: 'boolean' } } }).values
  if (!from) throw new TypeError('--from is needed.')
  return { done: 'was restored', folder: from, run: async () => await restoreBackup(from, targetOf(loadConfig(env), { replace })) }
}

function backupTask ({ to, into, keep, verify }: Readonly<Partial<Record<'to' | 'into' | 'keep' | 'verify', string>>>, env: Environment): Task {
  if ([to, into, verify].filter(Boolean).length !== 1) throw new TypeError('Either --to, --into or --verify is needed.')
  if (keep !== undefined && (!into || !/^[1-9]\d{0,4}$/.test(keep))) throw new TypeError('--keep is a number from 1 to 99999, with --into.')
  if (verify) return { done: 'is whole', folder: verify, run: async () => await verifyBackup(verify) }
  const source = () => sourceOf(loadConfig(env))
  if (to) return { done: 'was made', folder: to, run: async () => await makeBackup(source(), to) }
  return { done: 'has a new backup', folder: into!, run: async () => await makeNextBackup(source(), into!, keep === undefined ? undefined : Number(keep)) }
}

function summary ({ done, folder }: Task, { collections, startedAt }: Manifest, ms: number): string {
  const sum = (count: (entry: Manifest['collections'][number]) => number) => collections.reduce((total, entry) => total + count(entry), 0)
  const megabytes = (bytes: number) => `${(bytes / 1e6).toFixed(1)} MB`
  const size = `${megabytes(sum(({ bytes }) => bytes))}, ${megabytes(sum(({ fileBytes }) => fileBytes))} compressed`
  return `${folder} ${done}: ${sum(({ documents }) => documents)} documents of ${collections.length} collections (${size}), as of ${startedAt}, in ${(ms / 1000).toFixed(1)} s`
}

/** Does what `npm run backup` and `npm run restore` are asked for. */
export async function runCommand (args: string[], env: Environment): Promise<Outcome> {
  let task: Task
  try {
    task = taskOf(args, env)
  } catch (error) {
    return { code: 2, stdout: '', stderr: `${(error as Error).message}\n\n${usage}` }
  }
  const begin = performance.now()
  try {
    const manifest = await task.run()
    return { code: 0, stdout: `${summary(task, manifest, performance.now() - begin)}\n`, stderr: '' }
  } catch (error) {
    return { code: 1, stdout: '', stderr: `${error instanceof BackupError ? error.message : startFailure(error, `the ${args[0]} failed`)}\n` }
  }
}
