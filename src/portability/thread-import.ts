import { ThreadMessageRecord, ThreadRecord } from '../../schemas/thread.ts'
import { type ImportReport } from '../../schemas/transfer.ts'
import { ApiError } from '../errors.ts'
import { type Store } from '../store/store.ts'
import { type Compile, fitting } from './fitting.ts'
import { ImportBatch, taken } from './import-batch.ts'
import { wrongLine } from './lines.ts'
import { sessionFromThread, type Thread } from './threads.ts'

// Of one thread, which is held as a whole.
const MAX_MESSAGES = 20_000
const MAX_CHARS = 32 * 1024 * 1024

/** Whether the first record of a file is one of OpenAI's. */
export const isOfThreads = (record: unknown) => typeof record === 'object' && record !== null && 'object' in record

/** A file of threads on its way in: each as a session of one chatbot. What is there already, by its thread, is left as it is. */
export class ThreadImport {
  readonly #tenantId: string
  readonly #configId: string
  readonly #compile: Compile
  readonly #batch: ImportBatch
  readonly #read = { sessions: 0, messages: 0 }
  /** Threads that are complete. */
  readonly #past = new Set<string>()
  #thread: Thread | undefined
  #ids = new Set<string>()
  #chars = 0

  constructor (store: Pick<Store, 'chatbots' | 'transfers'>, tenantId: string, configId: string | undefined, compile: Compile) {
    if (configId === undefined) {
      throw new ApiError('validation_failed', {
        detail: 'Threads become sessions of a configuration: name it by configId.',
        members: { errors: [{ path: '/configId', message: 'is needed for threads' }] }
      })
    }
    this.#tenantId = tenantId
    this.#configId = configId
    this.#compile = compile
    this.#batch = new ImportBatch(store, tenantId)
  }

  get report (): ImportReport {
    const imported = { configs: 0, ...this.#batch.imported }
    const { sessions, messages } = this.#read
    return { imported, skipped: { configs: 0, sessions: sessions - imported.sessions, messages: messages - imported.messages } }
  }

  async take (record: unknown, line: number): Promise<void> {
    const kind = isOfThreads(record) ? (record).object : undefined
    if (kind === 'thread') {
      const thread = fitting<ThreadRecord>(this.#compile, ThreadRecord, record, line)
      await this.#begin(thread, line)
    } else if (kind === 'thread.message') {
      await this.#add(fitting<ThreadMessageRecord>(this.#compile, ThreadMessageRecord, record, line), line)
    } else {
      throw wrongLine(line, 'must be thread or thread.message', '/object')
    }
  }

  async end (): Promise<void> {
    await this.#put()
  }

  async flush (): Promise<void> {
    await this.#batch.flush()
    await this.#batch.close()
  }

  async #begin (record: ThreadRecord, line: number): Promise<void> {
    if (this.#thread?.record.id === record.id || this.#past.has(record.id)) throw wrongLine(line, 'is a second beginning of a thread', '/id')
    await this.#put()
    this.#thread = { record, line, messages: [] }
    this.#ids = new Set()
    this.#chars = 0
    this.#read.sessions++
  }

  /** Messages may come without their thread's own line. */
  async #add (record: ThreadMessageRecord, line: number): Promise<void> {
    const { id, thread_id: threadId, created_at: createdAt } = record
    if (this.#thread?.record.id !== threadId) {
      if (this.#past.has(threadId)) throw wrongLine(line, 'must be the thread before it', '/thread_id')
      await this.#begin({ object: 'thread', id: threadId, created_at: createdAt }, line)
    }
    if (this.#ids.has(id)) throw taken(line)
    this.#ids.add(id)
    this.#chars += JSON.stringify(record.content).length
    const { messages } = this.#thread!
    if (messages.length >= MAX_MESSAGES || this.#chars > MAX_CHARS) throw wrongLine(line, `belongs to a thread of more than ${MAX_MESSAGES} messages or ${MAX_CHARS} characters`)
    messages.push({ record, line })
    this.#read.messages++
  }

  async #put (): Promise<void> {
    const thread = this.#thread
    if (!thread) return
    this.#thread = undefined
    this.#past.add(thread.record.id)
    const { session, messages } = sessionFromThread(thread, this.#tenantId, this.#configId)
    await this.#batch.addSession(session, thread.line)
    for (const message of messages) await this.#batch.addMessage(message, thread.line)
  }
}
