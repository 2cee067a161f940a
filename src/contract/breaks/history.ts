import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { type Document } from '../document.ts'
import { breaksOf } from './breaks.ts'

const file = 'openapi.json'

/** What a version promises to keep: its major part, and before 1.0 the minor one. */
export function promiseOf (version: string): string {
  const [major = '', minor = ''] = version.split('.')
  return major === '0' ? `0.${minor}` : major
}

export interface Finding {
  readonly commit: string
  readonly breaks: readonly string[]
}

export interface Held {
  /** `promise`: what the version of the document now promises. */
  readonly promise: string
  /** The documents that were committed with the same promise, the newest first, and what their clients miss now. */
  readonly kept: readonly Finding[]
  /** The last document before these, with another promise: what it breaks is meant. */
  readonly previous?: Finding & { readonly promise: string }
  /** Why not all of the history could be looked at. */
  readonly lacking?: string
}

/**
 * Holds the document against all that were committed with the same promise, and not only against the last one: what was taken away in
 * several steps is found, and what was put back is forgiven. That is what a client of any of them needs. There are no releases to
 * compare with: whoever runs Parley takes a commit.
 */
export async function holdAgainstHistory (root: string): Promise<Held> {
  const git = async (...args: string[]) => (await promisify(execFile)('git', args, { cwd: root, maxBuffer: 256 * 1024 * 1024 })).stdout.trim()
  const current = JSON.parse(await readFile(join(root, file), 'utf8')) as Document
  const promise = promiseOf(current.info.version)
  const commits = await git('log', '--format=%h', '--', file).then((printed) => printed.split('\n').filter(Boolean), () => undefined)
  if (!commits) return { promise, kept: [], lacking: 'this is no checkout of git' }
  const isCut = await git('rev-parse', '--is-shallow-repository') === 'true'
  const lacking = isCut ? 'the history is cut off (git fetch --unshallow)' : commits.length === 0 ? `${file} has never been committed` : undefined

  const kept: Finding[] = []
  for (const commit of commits) {
    // A commit may have taken the file away.
    const text = await git('show', `${commit}:./${file}`).catch(() => undefined)
    if (text === undefined) continue
    const earlier = JSON.parse(text) as Document
    const found = { commit, breaks: breaksOf(earlier, current) }
    const promised = promiseOf(earlier.info.version)
    if (promised !== promise) return { promise, kept, previous: { ...found, promise: promised }, lacking }
    kept.push(found)
  }
  return { promise, kept, lacking }
}

/** The same in words, and whether it holds. */
export function report ({ promise, kept, previous, lacking }: Held): { readonly holds: boolean, readonly text: string } {
  const broken = kept.filter(({ breaks }) => breaks.length > 0)
  const listed = ({ breaks }: Finding) => breaks.map((line) => `  ${line}`)
  const lines = [
    ...broken.flatMap((finding) => [`Clients of the document in ${finding.commit} miss something, and its version promised that they would not:`, ...listed(finding)]),
    ...(broken.length > 0 ? [`Take it back, or raise info.version beyond ${promise}.`] : [`Earlier documents of version ${promise} that hold: ${kept.length}.`]),
    ...(previous && previous.breaks.length > 0 ? [`Version ${promise} breaks with ${previous.promise}, as a new one may:`, ...listed(previous)] : []),
    ...(lacking === undefined ? [] : [`NOT ALL IS CHECKED: ${lacking}.`])
  ]
  return { holds: broken.length === 0, text: lines.join('\n') }
}
