import { createReadStream } from 'node:fs'
import { glob } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { Contract, type Document } from './contract.ts'
import { type Exchange } from './recorder.ts'

export interface Findings {
  /** What came and is not in the document, one of a kind. */
  readonly faults: readonly string[]
  /** What is in the document and never came. */
  readonly missing: readonly string[]
  /** What came although it was not expected to. */
  readonly expectable: readonly string[]
  readonly summary: string
}

/** Holds all that was recorded in a folder against a document. */
export async function check (folder: string, document: Document, unseen: ReadonlySet<string>, openBodies: ReadonlySet<string>): Promise<Findings> {
  const contract = new Contract(document, openBodies)
  const faults = new Map<string, string>()
  for await (const file of glob('*.jsonl', { cwd: folder })) {
    for await (const line of createInterface({ input: createReadStream(join(folder, file)) })) {
      for (const fault of contract.faultsOf(JSON.parse(line) as Exchange)) {
        const kind = fault.replaceAll(/[0-9a-f]{24}|\d{4,}/g, '').slice(0, 120)
        if (!faults.has(kind)) faults.set(kind, fault)
      }
    }
  }
  const absent = contract.unseen()
  const missing = absent.filter((name) => !unseen.has(name))
  return {
    faults: [...faults.values()].sort(),
    missing,
    expectable: [...unseen].filter((name) => !absent.includes(name)),
    summary: `${contract.inside} forms of exchanges, and ${contract.outside} with paths and methods that the document does not have: ` +
      `${faults.size} faults, ${missing.length} documented answers not seen, besides ${absent.length - missing.length} that were not expected`
  }
}
