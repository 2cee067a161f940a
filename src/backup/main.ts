import { parseArgs } from 'node:util'
import { loadConfig } from '../config.ts'
import { startFailure } from '../start-failure.ts'
import { makeBackup } from './backup.ts'
import { BackupError, type Manifest } from './manifest.ts'
import { restoreBackup, verifyBackup } from './restore.ts'
import { sourceOf, targetOf } from './stores.ts'

const usage = `npm run backup -- --to <folder>              makes a backup; the folder must not be there yet
npm run backup -- --verify <folder>          reads a backup and checks it
npm run restore -- --from <folder>           restores it to an empty store
npm run restore -- --from <folder> --replace the same, in the place of what is there

The store is that of the server: MONGODB_URI and MONGODB_DATABASE, or DATA_DIR.
`

interface Task {
  readonly done: string
  readonly folder: string
  readonly run: () => Promise<Manifest>
}

/** What is asked for. Throws a `TypeError` where nothing is, or too much. */
function taskOf ([command, ...args]: string[]): Task {
  const text = { type: 'string' } as const
  if (command === 'backup') {
    const { to, verify } = parseArgs({ args, options: { to: text, verify: text } }).values
    if (verify && to === undefined) return { done: 'is whole', folder: verify, run: async () => await verifyBackup(verify) }
    if (to && verify === undefined) return { done: 'was made', folder: to, run: async () => await makeBackup(sourceOf(loadConfig(process.env)), to) }
  } else if (command === 'restore') {
    const { from, replace = false } = parseArgs({ args, options: { from: text, replace: { type: 'boolean' } } }).values
    const restore = async (folder: string) => await restoreBackup(folder, targetOf(loadConfig(process.env), { replace }))
    if (from) return { done: 'was restored', folder: from, run: async () => await restore(from) }
  }
  throw new TypeError('either --to or --verify, or --from')
}

function summary ({ done, folder }: Task, { collections, startedAt }: Manifest, ms: number): string {
  const sum = (count: (entry: Manifest['collections'][number]) => number) => collections.reduce((total, entry) => total + count(entry), 0)
  const megabytes = (bytes: number) => `${(bytes / 1e6).toFixed(1)} MB`
  const size = `${megabytes(sum(({ bytes }) => bytes))}, ${megabytes(sum(({ fileBytes }) => fileBytes))} compressed`
  return `${folder} ${done}: ${sum(({ documents }) => documents)} documents of ${collections.length} collections (${size}), as of ${startedAt}, in ${(ms / 1000).toFixed(1)} s`
}

async function main (args: string[]): Promise<number> {
  let task: Task
  try {
    task = taskOf(args)
  } catch (error) {
    if (!(error instanceof TypeError)) throw error
    process.stderr.write(`${error.message}\n\n${usage}`)
    return 2
  }
  const begin = performance.now()
  try {
    const manifest = await task.run()
    process.stdout.write(`${summary(task, manifest, performance.now() - begin)}\n`)
    return 0
  } catch (error) {
    process.stderr.write(`${error instanceof BackupError ? error.message : startFailure(error)}\n`)
    return 1
  }
}

process.exitCode = await main(process.argv.slice(2))
