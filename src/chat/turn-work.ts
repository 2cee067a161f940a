import { createHash } from 'node:crypto'
import { type MessageInput } from '../../schemas/message.ts'
import { type AnswerFormat, type Sampling } from '../llm/provider.ts'
import { type BranchStart } from '../store/branches.ts'
import { type Asked } from '../store/asked.ts'
import { type Message } from '../store/message.ts'

/** What a turn is taken for. */
export type TurnWork =
  /** Something new is said. */
  | { readonly kind: 'send', readonly input: MessageInput }
  /** Something is said instead of an earlier message, on a line of its own. */
  | { readonly kind: 'edit', readonly input: MessageInput, readonly edited: Message, readonly branch: BranchStart }
  /** Something is said behind a certain message: on the line that is spoken on, while it ends there, else on a line of its own. */
  | { readonly kind: 'continue', readonly input: MessageInput, readonly after: Message, readonly branch?: BranchStart }
  /** Something that has a reply gets another one, on a line of its own. */
  | { readonly kind: 'regenerate', readonly answered: Message, readonly branch: BranchStart }
  /** Something whose reply has failed gets another one where it is: its key was sent again. */
  | { readonly kind: 'rerun', readonly answered: Message }

/** How a reply is wanted, this one alone. */
export interface Wish {
  /** Throws `not_found` where the session is another chatbot's. */
  readonly configId: string
  /** What the model is told behind the system text of the chatbot. */
  readonly system: readonly string[]
  readonly sampling: Sampling
  readonly format?: AnswerFormat
  /** Kept with the reply. */
  readonly asked?: Asked
}

/** What a turn is first taken for. */
export type NewWork = Exclude<TurnWork, { kind: 'rerun' }>

/** What a key is bound to: a request with the same key must have the same hash. */
export function requestHash (work: NewWork): string {
  return createHash('sha256').update(JSON.stringify(contentOf(work))).digest('base64url')
}

function contentOf (work: NewWork): unknown[] {
  if (work.kind === 'regenerate') return ['regenerate', work.answered.id]
  const { message, metadata = null } = work.input
  if (work.kind === 'continue') return [message, metadata, 'continue', work.after.id]
  return work.kind === 'send' ? [message, metadata] : [message, metadata, 'edit', work.edited.id]
}
