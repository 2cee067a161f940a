import { Type, type Static } from '@sinclair/typebox'
import { closed } from './building-blocks.ts'
import { Messages } from './messages.ts'

/** POST /v1/chat/moderations: one conversation, or several. */
export const ChatModerationRequest = closed({
  model: Type.String(),
  input: Type.Union([Messages, Type.Array(Messages)])
})

export type ChatModerationRequest = Static<typeof ChatModerationRequest>
