/** A message, as the model of a conversation has it. */
export interface Said {
  readonly id: string
  readonly seq: number
  readonly role: 'user' | 'bot'
  readonly parent: Said | null
  content: string
  status: string
}

/** What a feed tells, as far as it is compared: the event, and what it is about. */
export type Told = readonly [event: string, ...about: unknown[]]

const wasSaid = ({ role, status, content }: Said) => content !== '' && (role === 'user' || ['completed', 'stopped'].includes(status))

/**
 * What a session must be after what was done in it: a tree of messages, and branches as ways through it. Kept as simple as
 * can be, by other means than the store's: there are no numbers of branches, and every way is found by going back.
 */
export class ConversationModel {
  /** Everything that was said and not cleared, in order. */
  messages: Said[] = []
  /** The last message of each branch, by its id. */
  tips: Map<string, Said | null>
  active: string
  nextSeq = 1
  /** What a feed must tell, from the beginning on. */
  readonly told: Told[] = []
  readonly #first: string
  readonly #historyLimit: number

  constructor (sessionId: string, historyLimit: number) {
    this.#first = sessionId
    this.#historyLimit = historyLimit
    this.active = sessionId
    this.tips = new Map([[sessionId, null]])
  }

  /** From the first message of a branch to its last. */
  way (tip: Said | null | undefined): Said[] {
    return tip ? [...this.way(tip.parent), tip] : []
  }

  /** The texts that the model is given for a reply to `message`, the system's excepted. */
  promptFor (message: Said): string[] {
    const before = this.way(message.parent).slice(-this.#historyLimit)
    return [...before.filter(wasSaid), message].map(({ content }) => content)
  }

  /** A message behind `parent`, on a branch that it begins, where `branch` is new. */
  say (message: Omit<Said, 'seq' | 'parent'>, parent: Said | null, branch = this.active): Said {
    const said = { ...message, seq: this.nextSeq++, parent }
    this.messages.push(said)
    this.tips.set(branch, said)
    this.active = branch
    return said
  }

  /** What a feed tells one who comes now, from the beginning on: what was cleared has never been said. */
  toldLater (): Told[] {
    const left = new Set(this.messages.map(({ id }) => id))
    const isOfTurn = (event: string) => event.startsWith('message.') && event !== 'message.deleted'
    return this.told.filter(([event, ...about]) => !isOfTurn(event) || left.has(String(about.at(-1))))
  }

  tip (): Said | null {
    return this.tips.get(this.active) ?? null
  }

  /** What a feed tells of a turn that has ended: its beginning, and its end. */
  tellTurn (userMessage: Said, reply: Said): void {
    this.told.push(['message.started', userMessage.id, reply.id], [`message.${reply.status}`, reply.id])
  }

  switchTo (branch: string): void {
    this.active = branch
    this.told.push(['session.updated', branch])
  }

  erase (message: Said): void {
    if (message.status !== 'deleted') this.told.push(['message.deleted', message.id])
    Object.assign(message, { content: '', status: 'deleted' })
  }

  clear (): void {
    if (this.messages.length > 0) this.told.push(['session.cleared', this.nextSeq - 1])
    this.messages = []
    this.active = this.#first
    this.tips = new Map([[this.#first, null]])
  }
}
