import { createHash } from 'node:crypto'
import { type MessageInput } from '../../schemas/message.ts'
import { type BranchStart } from '../store/branches.ts'
import { type Message } from '../store/messages.ts'

/** What a turn is taken for. */
export type TurnWork =
  /** Something new is said. */
  | { readonly kind: 'send', readonly input: MessageInput }
  /** Something is said instead of an earlier message, on a line of its own. */
  | { readonly kind: 'edit', readonly input: MessageInput, readonly edited: Message, readonly branch: BranchStart }
  /** Something that has a reply gets another one, on a line of its own. */
  | { readonly kind: 'regenerate', readonly answered: Message, readonly branch: BranchStart }
  /** Something whose reply has failed gets another one where it is: its key was sent again. */
  | { readonly kind: 'rerun', readonly answered: Message }

/** What a turn is first taken for. */
export type NewWork = Exclude<TurnWork, { kind: 'rerun' }>

/** What a key is bound to: a request with the same key must have the same hash. */
export function requestHash (work: NewWork): string {
  return createHash('sha256').update(JSON.stringify(contentOf(work))).digest('base64url')
}

function contentOf (work: NewWork): unknown[] {
  if (work.kind === 'regenerate') return ['regenerate', work.answered.id]
  const { message, metadata = null } = work.input
  return work.kind === 'send' ? [message, metadata] : [message, metadata, 'edit', work.edited.id]
}
