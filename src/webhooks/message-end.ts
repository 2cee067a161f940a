import { type WebhookEventData } from '../../schemas/webhook-event.ts'
import { presentMessage } from '../chat/present.ts'
import { type Message } from '../store/message.ts'
import { type WebhookEvent } from './publisher.ts'

/** The event of a reply that has ended. Undefined: it was erased. Named by the reply, so that it is the same whoever tells it. */
export function endOf (reply: Message): WebhookEvent | undefined {
  const { id, tenantId, sessionId, configId, userId, channel, external, status, endedAt, timestamp } = reply
  if (status === 'deleted') return undefined
  const data: WebhookEventData<'message.completed'> = {
    message: presentMessage(reply),
    sessionId,
    configId,
    userId,
    channel,
    ...(external && { externalUserId: external.userId }),
    ...(external?.integrationId && { integrationId: external.integrationId }),
    ...(external?.messageId !== undefined && { externalMessageId: external.messageId })
  }
  return {
    id: `evt_${id}`,
    tenantId,
    type: status === 'completed' ? 'message.completed' : 'message.failed',
    timestamp: endedAt ?? timestamp,
    data
  }
}
