import { type CustomFetch } from 'openid-client'

const MAX_BYTES = 512 * 1024

/** Fetches and reads at most half a megabyte, all of it within the time that the signal leaves. */
export const boundedFetch: CustomFetch = async (url, options) => {
  const { body, status, headers } = await fetch(url, options)
  if (!body) return new Response(null, { status, headers })
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of body as ReadableStream<Uint8Array>) {
    size += chunk.byteLength
    if (size > MAX_BYTES) throw new Error(`more than ${MAX_BYTES} bytes from a login provider`)
    chunks.push(chunk)
  }
  return new Response(Buffer.concat(chunks), { status, headers })
}
