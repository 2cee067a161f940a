import { type SearchPage, type SearchQuery } from '../../schemas/search.ts'
import { presentMessage } from '../chat/present.ts'
import { type ChatbotRepository } from '../store/chatbots.ts'
import { type Message } from '../store/message.ts'
import { type MessageRepository } from '../store/messages.ts'
import { wrongCursor } from '../store/page.ts'
import { type SearchSourceRepository, type SourceMessage } from '../store/search-sources.ts'
import { type SessionScope } from '../store/sessions.ts'
import { type IndexReader, type OpenIndex } from './index-reader.ts'
import { type Candidate, rank, type Statistics, type Wanted } from './ranking.ts'
import { buildSegment, configTerm, userTerm } from './segment.ts'
import { snippetOf } from './snippets.ts'
import { eachWord } from './words.ts'

const MAX_WORDS = 24
// How deep a search reaches, those included that turn out to be gone.
const MAX_CANDIDATES = 1000

// What was just said, and is not in the index yet.
const RECENT_SESSIONS = 50
const RECENT_OF_A_SESSION = 200
const RECENT_MESSAGES = 1000

// A word that very many messages have says little and costs much: where another one finds something, it is passed over, and
// where there are only such words, the rarest of them do.
const COMMON_FROM = 50_000
const COMMON_SHARE = 8
const COMMON_WORDS = 2

export interface FinderOptions {
  readonly reader: IndexReader
  readonly sources: SearchSourceRepository
  readonly messages: MessageRepository
  readonly chatbots: ChatbotRepository
}

type Scope = SessionScope & { readonly configId?: string }

/** Answers searches. */
export class Finder {
  readonly #options: FinderOptions

  constructor (options: FinderOptions) {
    this.#options = options
  }

  /** The messages in `scope` that match best. Throws `validation_failed` for a cursor that is none. */
  async find (scope: Scope, { q, from, to, limit, cursor }: SearchQuery): Promise<SearchPage> {
    const offset = cursor === undefined ? 0 : offsetOf(cursor)
    const words = wordsOf(q)
    if (words.length === 0) return { data: [], nextCursor: null }
    const wanted: Wanted = {
      words,
      filters: [
        ...scope.configId === undefined ? [] : [configTerm(scope.configId)],
        ...scope.userId === undefined ? [] : [userTerm(scope.userId)]
      ],
      from: from === undefined ? -Infinity : Date.parse(from),
      to: to === undefined ? Infinity : Date.parse(to)
    }
    const candidates = await this.#candidates(scope, wanted)
    const found = await this.#readable(scope, candidates.slice(offset), limit + 1)
    const isLast = found.length <= limit
    return {
      data: found.slice(0, limit).map(({ message, score }) => ({
        message: presentMessage(message),
        score: Math.round(score * 10_000) / 10_000,
        ...snippetOf(message.content, new Set(words))
      })),
      nextCursor: isLast ? null : cursorOf(candidates.findIndex(({ id }) => id === found[limit]!.message.id))
    }
  }

  async #candidates (scope: Scope, wanted: Wanted): Promise<Candidate[]> {
    const { words, filters } = wanted
    // First: what is taken into the index meanwhile is found twice then, and not missed.
    const recent = await this.#recent(scope)
    return await this.#options.reader.read(scope.tenantId, async (index) => {
      await index.readRare(words, filters)
      if (recent.length > 0) index.include(buildSegment(recent), [...words, ...filters])
      const statistics = statisticsOf(index, words)
      const bestOf = async (chosen: readonly string[]) => {
        await index.readCommon(chosen, filters)
        return rank(index.segments, { ...wanted, words: chosen }, statistics, MAX_CANDIDATES)
      }
      const rarestFirst = words.toSorted((a, b) => statistics.withTerm.get(a)! - statistics.withTerm.get(b)!)
      const { telling = [], common = [] } = Object.groupBy(rarestFirst, (word) => isCommon(word, statistics) ? 'common' : 'telling')
      const best = await bestOf(telling)
      return best.length > 0 ? best : await bestOf(common.slice(0, COMMON_WORDS))
    })
  }

  /** What was said lately in these sessions and is not in the index yet. */
  async #recent (scope: Scope): Promise<SourceMessage[]> {
    const { sources } = this.#options
    const sessions = await sources.unindexedIn(scope, RECENT_SESSIONS)
    let expected = 0
    const newest = sessions.filter(({ nextSeq, afterSeq }) => {
      const fits = expected < RECENT_MESSAGES
      expected += Math.min(nextSeq - 1 - afterSeq, RECENT_OF_A_SESSION)
      return fits
    })
    const found = await sources.messagesOf(newest, RECENT_OF_A_SESSION, 'newest')
    return found.filter(({ status, content }) => status !== 'streaming' && content !== '')
  }

  /** The first `count` of the candidates that the reader may see, in their order. */
  async #readable (scope: Scope, candidates: readonly Candidate[], count: number): Promise<Found[]> {
    const found: Found[] = []
    for (let at = 0, size = count; at < candidates.length && found.length < count; at += size, size *= 2) {
      found.push(...await this.#look(scope, candidates.slice(at, at + size)))
    }
    return found.slice(0, count)
  }

  /** Those of the candidates that are still there. */
  async #look ({ tenantId, userId, configId }: Scope, candidates: readonly Candidate[]): Promise<Found[]> {
    const { messages, sources, chatbots } = this.#options
    const found = await messages.withIds(candidates.map(({ id }) => id))
    const distinct = (key: 'sessionId' | 'configId') => [...new Set(found.map((message) => message[key]))]
    const [sessions, living] = await Promise.all([
      sources.readable(distinct('sessionId')), chatbots.living(tenantId, distinct('configId'))
    ])
    const isInScope = (message: Message) => message.tenantId === tenantId &&
      (userId ?? message.userId) === message.userId && (configId ?? message.configId) === message.configId
    const isReadable = (message: Message) => {
      const session = sessions.get(message.sessionId)
      return session !== undefined && isInScope(message) && message.status !== 'deleted' && living.has(message.configId) &&
        message.seq > session.clearedSeq && !session.leaving.has(message.id)
    }
    const byId = new Map(found.filter(isReadable).map((message) => [message.id, message]))
    return candidates.flatMap(({ id, score }) => {
      const message = byId.get(id)
      return message ? [{ message, score }] : []
    })
  }
}

interface Found {
  readonly message: Message
  readonly score: number
}

function wordsOf (q: string): string[] {
  const terms = new Set<string>()
  eachWord(q.normalize('NFC'), (found) => {
    for (const term of found) if (terms.size < MAX_WORDS) terms.add(term)
  })
  return [...terms]
}

function statisticsOf (index: OpenIndex, words: readonly string[]): Statistics {
  const sum = (figure: 'count' | 'words') => index.segments.reduce((sum, segment) => sum + segment[figure], 0)
  const messages = sum('count')
  const withTerm = new Map(words.map((word) => [word, index.countOf(word)]))
  return { messages, averageLength: sum('words') / messages, withTerm }
}

function isCommon (word: string, { messages, withTerm }: Statistics): boolean {
  return withTerm.get(word)! > Math.max(COMMON_FROM, messages / COMMON_SHARE)
}

function cursorOf (offset: number): string {
  return Buffer.from(`hit:${offset}`).toString('base64url')
}

function offsetOf (cursor: string): number {
  const [, offset] = /^hit:(\d{1,4})$/.exec(Buffer.from(cursor, 'base64url').toString('latin1')) ?? []
  if (offset !== undefined) return Number(offset)
  throw wrongCursor()
}
