const FIRST_CAPACITY = 256

/** Bytes that are written one after another. */
export class ByteWriter {
  #bytes = Buffer.allocUnsafe(FIRST_CAPACITY)
  #length = 0

  /** What was written so far; valid until the next write. */
  get written (): Buffer {
    return this.#bytes.subarray(0, this.#length)
  }

  /** A number from 0 to 2 ** 31 - 1, seven bits to a byte, the low ones first. */
  number (value: number): void {
    this.#reserve(5)
    while (value > 127) {
      this.#bytes[this.#length++] = (value & 127) | 128
      value >>>= 7
    }
    this.#bytes[this.#length++] = value
  }

  /** Bytes with their length before them. */
  block (bytes: Uint8Array): void {
    this.number(bytes.length)
    this.#reserve(bytes.length)
    this.#bytes.set(bytes, this.#length)
    this.#length += bytes.length
  }

  clear (): void {
    this.#length = 0
  }

  #reserve (count: number): void {
    if (this.#length + count <= this.#bytes.length) return
    const larger = Buffer.allocUnsafe(Math.max(this.#bytes.length * 2, this.#length + count))
    larger.set(this.written)
    this.#bytes = larger
  }
}
