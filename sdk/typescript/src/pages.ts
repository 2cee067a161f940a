interface Page<T> {
  readonly data: readonly T[]
  readonly nextCursor: string | null
}

/** The items of all pages, one after the other; a page is asked for when the one before it has been taken. */
export async function * each<T> (page: (cursor: string | undefined) => Promise<Page<T>>): AsyncGenerator<T, void, undefined> {
  let cursor: string | undefined
  do {
    const { data, nextCursor } = await page(cursor)
    yield * data
    cursor = nextCursor ?? undefined
  } while (cursor !== undefined)
}
