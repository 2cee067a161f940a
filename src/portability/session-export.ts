import { type Readable } from 'node:stream'
import { type SessionExportQuery } from '../../schemas/transfer.ts'
import { type Principal } from '../auth/principal.ts'
import { presentMessage } from '../chat/present.ts'
import { ApiError } from '../errors.ts'
import { sessionScope } from '../sessions/access.ts'
import { presentSession, type Sessions } from '../sessions/sessions.ts'
import { type Message } from '../store/message.ts'
import { type Session } from '../store/sessions.ts'
import { streamOf, type Exporter } from './export.ts'
import { markdownHead, markdownMessage } from './markdown.ts'

/** A document, and what to call it. */
export interface ExportedFile {
  readonly name: string
  readonly mediaType: string
  readonly stream: Readable
}

/** Single conversations as documents, in constant memory. */
export class SessionExporter {
  readonly #sessions: Sessions
  readonly #exporter: Exporter

  constructor (sessions: Sessions, exporter: Exporter) {
    this.#sessions = sessions
    this.#exporter = exporter
  }

  async file (principal: Principal, id: string, { format }: SessionExportQuery): Promise<ExportedFile> {
    const scope = sessionScope(principal, 'sessions:read')
    const session = await this.#exporter.settled(scope, await this.#sessions.require(scope, id))
    if (!session) throw new ApiError('not_found', { detail: `There is no session ${id}.` })
    return format === 'markdown'
      ? { name: `${id}.md`, mediaType: 'text/markdown; charset=utf-8', stream: streamOf(this.#markdown(session)) }
      : { name: `${id}.json`, mediaType: 'application/json; charset=utf-8', stream: streamOf(this.#json(session)) }
  }

  /** All branches. */
  async * #json (session: Session): AsyncIterable<string> {
    const head = {
      format: 'parley.session', formatVersion: 1, exportedAt: new Date().toISOString(), session: presentSession(session)
    }
    yield `${JSON.stringify(head).slice(0, -1)},"messages":[`
    let separator = ''
    for await (const messages of this.#exporter.messagesOf(session)) {
      yield separator + messages.map((message) => JSON.stringify(presentMessage(message))).join(',')
      separator = ','
    }
    yield ']}\n'
  }

  /** The branch that is spoken on. */
  async * #markdown (session: Session): AsyncIterable<string> {
    yield markdownHead(session)
    const isOnLine = onLine(session)
    for await (const messages of this.#exporter.messagesOf(session)) {
      yield messages.filter(isOnLine).map(markdownMessage).join('')
    }
  }
}

/** Whether a message was said on the line that is spoken on: on its branch, or on one that this left, before that. */
function onLine ({ branchId, branches }: Session): (message: Message) => boolean {
  const lastSeqs = new Map<string | null, number>([[branchId, Infinity]])
  let branch = branches.find(({ id }) => id === branchId)
  while (branch && branch.parentSeq > 0) {
    const { from, parentSeq } = branch
    lastSeqs.set(from, parentSeq)
    branch = branches.find(({ id }) => id === from)
  }
  return (message) => message.seq <= (lastSeqs.get(message.branchId) ?? 0)
}
