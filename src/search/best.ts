/** The best of many, without keeping them all: a heap with the worst of those kept on top. */
export class Best<T> {
  readonly #limit: number
  readonly #compare: (a: T, b: T) => number
  readonly #heap: T[] = []

  /** `compare`: negative where the first is better. */
  constructor (limit: number, compare: (a: T, b: T) => number) {
    this.#limit = limit
    this.#compare = compare
  }

  /** What another one has to be better than. Undefined: there is still room. */
  get worst (): T | undefined {
    return this.#heap.length < this.#limit ? undefined : this.#heap[0]
  }

  add (item: T): void {
    const heap = this.#heap
    if (heap.length < this.#limit) {
      heap.push(item)
      this.#rise(heap.length - 1)
    } else if (this.#compare(item, heap[0]!) < 0) {
      heap[0] = item
      this.#sink()
    }
  }

  /** All that are kept, the best first. */
  sorted (): T[] {
    return this.#heap.toSorted(this.#compare)
  }

  #isWorse (a: number, b: number): boolean {
    return this.#compare(this.#heap[a]!, this.#heap[b]!) > 0
  }

  #swap (a: number, b: number): void {
    const heap = this.#heap;
    [heap[a], heap[b]] = [heap[b]!, heap[a]!]
  }

  #rise (at: number): void {
    for (let parent; at > 0; at = parent) {
      parent = (at - 1) >> 1
      if (!this.#isWorse(at, parent)) return
      this.#swap(at, parent)
    }
  }

  #sink (): void {
    const { length } = this.#heap
    for (let at = 0, child = 1; child < length; at = child, child = at * 2 + 1) {
      if (child + 1 < length && this.#isWorse(child + 1, child)) child++
      if (!this.#isWorse(child, at)) return
      this.#swap(child, at)
    }
  }
}
