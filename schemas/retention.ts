import { OrNull, Type, closed, type Static } from './type.ts'

const days = (maximum: number, description: string) => Type.Integer({ minimum: 1, maximum, description })

const rules = {
  sessionsDays: OrNull(days(36_500, 'Days for which a session is kept after its last message, ended or not. Null: for ever.')),
  messagesDays: OrNull(days(36_500, 'Days for which a message is kept, also in a session that goes on. Null: as long as its session.')),
  deliveryLogsDays: days(365, 'Days for which the deliveries of webhooks are kept that are over, with what was delivered. 30 where nothing was set.')
}

const examples = [{ sessionsDays: 365, messagesDays: 90, deliveryLogsDays: 14 }]

export const Retention = Type.Object(rules, {
  $id: 'Retention', description: 'For how long a tenant keeps what is said to its chatbots, and what is told of it.', examples
})
export type Retention = Static<typeof Retention>

export const RetentionInput = Type.Object(rules, {
  ...closed, $id: 'RetentionInput', description: 'For how long a tenant is to keep what is said to its chatbots, and what is told of it.', examples
})
export type RetentionInput = Static<typeof RetentionInput>
