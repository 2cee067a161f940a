import { Ref, Type, closed, type TSchema } from './type.ts'

/** `limit` and `cursor`, which every list takes. */
export const pageQuery = {
  limit: Type.Integer({ minimum: 1, maximum: 100, default: 20, description: 'How many at most.' }),
  cursor: Type.Optional(Type.String({ maxLength: 200, description: '`nextCursor` of the page before.' }))
}

export const PageQuery = Type.Object(pageQuery, closed)

/** One page of a list. */
export function Page<T extends TSchema> ($id: string, item: T) {
  return Type.Object({
    data: Type.Array(Ref(item), { description: 'What is on this page.' }),
    nextCursor: Type.Union([Type.String(), Type.Null()], { description: 'Ask for the next page with it; null on the last page.' })
  }, { $id, description: 'A page of the list.', examples: [{ data: item.examples as unknown[], nextCursor: null }] })
}
