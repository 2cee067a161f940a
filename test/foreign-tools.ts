import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { access, mkdir, writeFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'

/** A program and its arguments. */
export type Command = readonly [program: string, ...args: string[]]

/** What is fetched stays here for the next run, outside of the checkout. */
export const cache = join(process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'parley')

interface RunOptions {
  readonly cwd?: string
  readonly env?: Record<string, string>
}

/** Runs a program and gives all that it prints. What it prints is told when it fails, too. */
export async function run (program: string, args: readonly string[], options: RunOptions = {}): Promise<string> {
  try {
    const { stdout, stderr } = await promisify(execFile)(program, args, {
      ...options, env: { ...process.env, ...options.env }, maxBuffer: 64 * 1024 * 1024, timeout: 300_000
    })
    return stdout + stderr
  } catch (error) {
    const { message, stdout, stderr } = error as Error & { stdout: string, stderr: string }
    throw new Error(`${program}: ${[message.split('\n')[0], stdout, stderr].join('\n')}`.trim())
  }
}

/** The first of these commands that does not run on this machine. */
export async function missing (commands: readonly Command[]): Promise<string | undefined> {
  for (const [program, ...args] of commands) {
    if (!await run(program, args).then(() => true, () => false)) return [program, ...args].join(' ')
  }
}

/** A folder in the cache that is made once for each `content`. What was cut off is made anew. */
export async function cached (name: string, content: string, make: (folder: string) => Promise<void>): Promise<string> {
  const folder = join(cache, `${name}-${createHash('sha256').update(content).digest('hex').slice(0, 12)}`)
  const done = join(folder, '.done')
  if (await access(done).then(() => false, () => true)) {
    await mkdir(folder, { recursive: true })
    await make(folder)
    await writeFile(done, '')
  }
  return folder
}

/** What must run for `pythonWith`. */
export const pythonNeeds: readonly Command[] = [['python3', '-m', 'venv', '--help'], ['python3', '-m', 'ensurepip', '--version']]

/** The folder of the programs of a Python that has these packages. */
export async function pythonWith (name: string, requirements: string): Promise<string> {
  const venv = await cached(name, requirements, async (venv) => {
    await run('python3', ['-m', 'venv', venv])
    await run(join(venv, 'bin/pip'), ['install', '-q', '--disable-pip-version-check', ...requirements.split('\n').filter(Boolean)])
  })
  return join(venv, 'bin')
}
