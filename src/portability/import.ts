import { Readable } from 'node:stream'
import {
  ConfigRecord, ConfigVersionRecord, type ImportReport, MessageRecord, SessionRecord, TransferEnd, TransferHeader,
  type TransferRecord
} from '../../schemas/transfer.ts'
import { type Principal } from '../auth/principal.ts'
import { ApiError } from '../errors.ts'
import { isDeeperThan } from '../json-depth.ts'
import { type Store } from '../store/store.ts'
import { type MovedSession } from '../store/transfers.ts'
import { type Compile, fitting } from './fitting.ts'
import { ImportBatch, taken } from './import-batch.ts'
import { linesOf, wrongLine } from './lines.ts'
import { chatbotFrom, messageFrom, sessionFrom, versionFrom } from './records.ts'
import { isOfThreads, ThreadImport } from './thread-import.ts'

const limits = { maxBytes: 8 * 1024 * 1024, idleMs: 30_000 }
const MAX_DEPTH = 32

const schemas = new Map<string, object>([
  TransferHeader, ConfigRecord, ConfigVersionRecord, SessionRecord, MessageRecord, TransferEnd
].map((schema) => [schema.properties.type.const, schema]))

type Counts = { -readonly [name in keyof ImportReport['imported']]: number }

const noCounts = (): Counts => ({ configs: 0, sessions: 0, messages: 0 })

/** Takes conversations in that were exported elsewhere. */
export class Importer {
  readonly #store: Pick<Store, 'chatbots' | 'transfers'>
  readonly #compile: Compile

  constructor (store: Pick<Store, 'chatbots' | 'transfers'>, compile: Compile) {
    this.#store = store
    this.#compile = compile
  }

  /**
   * Reads the lines as they come. What is there already, by id, is left as it is. Throws `validation_failed` for a line
   * that does not fit and `conflict` for an id that is taken; what came before stays, and all can be sent again.
   * `configId`: of the chatbot that threads of OpenAI's become sessions of.
   */
  async import ({ tenantId }: Principal, body: AsyncIterable<Buffer> | undefined, configId?: string): Promise<ImportReport> {
    let run: ImportRun | ThreadImport | undefined
    let last = 0
    try {
      for await (const { number, text } of linesOf(body ?? Readable.from([]), limits)) {
        const record = parse(text, number)
        run ??= isOfThreads(record)
          ? new ThreadImport(this.#store, tenantId, configId, this.#compile)
          : new ImportRun(this.#store, tenantId, this.#compile)
        await run.take(record, number)
        last = number
      }
      run ??= new ImportRun(this.#store, tenantId, this.#compile)
      await run.end(last)
    } finally {
      await run?.flush()
    }
    return run.report
  }
}

function parse (text: string, number: number): unknown {
  if (isDeeperThan(MAX_DEPTH, Buffer.from(text))) throw wrongLine(number, `nests deeper than ${MAX_DEPTH} levels`)
  try {
    return JSON.parse(text)
  } catch {
    throw wrongLine(number, 'is not JSON')
  }
}

/** One file on its way in. */
class ImportRun {
  readonly #store: Pick<Store, 'chatbots' | 'transfers'>
  readonly #tenantId: string
  readonly #batch: ImportBatch
  /** What the file holds so far. */
  readonly #read = noCounts()
  readonly #imported = noCounts()
  #session: MovedSession | undefined
  #config: { id: string, version: number } | undefined
  #isBegun = false
  #isEnded = false
  readonly #compile: Compile

  constructor (store: Pick<Store, 'chatbots' | 'transfers'>, tenantId: string, compile: Compile) {
    this.#store = store
    this.#compile = compile
    this.#tenantId = tenantId
    this.#batch = new ImportBatch(store, tenantId)
  }

  get report (): ImportReport {
    const imported = { configs: this.#imported.configs, ...this.#batch.imported }
    const { configs, sessions, messages } = this.#read
    return {
      imported,
      skipped: {
        configs: configs - imported.configs,
        sessions: sessions - imported.sessions,
        messages: messages - imported.messages
      }
    }
  }

  async take (given: unknown, line: number): Promise<void> {
    const record = this.#fitting(given, line)
    if (this.#isBegun && record.type === 'export') throw wrongLine(line, 'is a second beginning')
    if (!this.#isBegun && record.type !== 'export') throw wrongLine(line, 'comes before the beginning of an export')
    if (this.#isEnded) throw wrongLine(line, 'comes after the end')
    switch (record.type) {
      case 'export': this.#isBegun = true; break
      case 'config': await this.#takeConfig(record, line); break
      case 'configVersion': await this.#takeVersion(record, line); break
      case 'session': await this.#takeSession(record, line); break
      case 'message': await this.#takeMessage(record, line); break
      case 'end': this.#end(record, line)
    }
  }

  /** Throws where the file has no end of its own. `last`: the number of its last line. */
  async end (last: number): Promise<void> {
    if (!this.#isEnded) throw wrongLine(last + 1, 'is missing: the file ends before its last line')
  }

  async flush (): Promise<void> {
    await this.#batch.flush()
    await this.#batch.close()
  }

  #fitting (record: unknown, line: number): TransferRecord {
    const type = typeof record === 'object' && record !== null && 'type' in record ? record.type : undefined
    const schema = schemas.get(String(type))
    if (!schema) throw wrongLine(line, `must be one of ${[...schemas.keys()].join(', ')}`, '/type')
    return fitting(this.#compile, schema, record, line)
  }

  async #takeConfig (record: ConfigRecord, line: number): Promise<void> {
    const { chatbots } = this.#store
    const chatbot = atLine(line, () => chatbotFrom(record, this.#tenantId))
    this.#read.configs++
    if (await chatbots.insert(chatbot)) this.#imported.configs++
    const stored = await chatbots.find(this.#tenantId, record.id)
    if (!stored) throw taken(line)
    this.#config = stored
  }

  async #takeVersion (record: ConfigVersionRecord, line: number): Promise<void> {
    const config = this.#config
    if (config?.id !== record.configId) throw wrongLine(line, 'must be the configuration before it', '/configId')
    const version = atLine(line, () => versionFrom(record))
    if (version.version >= config.version) return
    await this.#store.chatbots.versions.keep({ id: config.id, tenantId: this.#tenantId }, [version])
  }

  async #takeSession (record: SessionRecord, line: number): Promise<void> {
    this.#read.sessions++
    if (record.clearedSeq >= record.nextSeq) throw wrongLine(line, 'must be before nextSeq', '/clearedSeq')
    this.#session = sessionFrom(record, this.#tenantId)
    await this.#batch.addSession(this.#session, line)
  }

  async #takeMessage (record: MessageRecord, line: number): Promise<void> {
    const session = this.#session
    if (session?.id !== record.sessionId) throw wrongLine(line, 'must be the session before it', '/sessionId')
    const { clearedSeq, nextSeq } = session
    if (record.seq <= clearedSeq || record.seq >= nextSeq) throw wrongLine(line, 'must be within its session', '/seq')
    this.#read.messages++
    await this.#batch.addMessage(messageFrom(record, session), line)
  }

  #end ({ counts }: TransferEnd, line: number): void {
    const { configs, sessions, messages } = this.#read
    const isAll = counts.configs === configs && counts.sessions === sessions && counts.messages === messages
    if (!isAll) throw wrongLine(line, `must be those of the file: ${configs}, ${sessions} and ${messages}`, '/counts')
    this.#isEnded = true
  }
}

/** What does not fit in a record, told with its line. */
function atLine<T> (line: number, convert: () => T): T {
  try {
    return convert()
  } catch (error) {
    if (!(error instanceof ApiError)) throw error
    const [first] = error.members['errors'] as [{ path: string, message: string }]
    throw wrongLine(line, first.message, first.path)
  }
}
