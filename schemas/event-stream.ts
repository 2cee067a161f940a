import { Ref, Type, type TSchema } from './type.ts'

/** A stream's events: the component that the `data` of each has, by the name of the event. */
export type StreamEvents = Readonly<Record<string, TSchema>>

/** The same component for several events. */
export const all = (names: readonly string[], data: TSchema): StreamEvents => Object.fromEntries(names.map((name) => [name, data]))

/**
 * The `data` of one event of a stream, whichever it is. Its `event` field says so, which a schema of `data` cannot look at; for programs
 * `x-event-schemas` tells what goes with which, as the `mapping` of a discriminator does.
 */
export function EventData ($id: string, events: StreamEvents, description: string) {
  const schemas = [...new Set(Object.values(events))]
  return Type.Union(schemas.map((schema) => Ref(schema)), {
    $id,
    description: `The \`data\` of one server-sent event. \`event\` names it: ${Object.keys(events).map((name) => `\`${name}\``).join(', ')}. ${description}`,
    'x-event-schemas': Object.fromEntries(Object.entries(events).map(([name, { $id }]) => [name, `#/components/schemas/${$id}`])),
    examples: schemas.flatMap(({ examples }) => (examples as unknown[]).slice(0, 1))
  })
}
