/** Does something for each item, a few at a time; all that comes of it, in the order of the items. */
export async function each<T, R> (items: readonly T[], act: (item: T) => Promise<R>, atOnce = 8): Promise<R[]> {
  const results: R[] = []
  let next = 0
  const worker = async () => {
    for (let i = next++; i < items.length; i = next++) results[i] = await act(items[i]!)
  }
  await Promise.all(Array.from({ length: atOnce }, worker))
  return results
}
