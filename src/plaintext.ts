import { isLoopback } from './loopback.ts'

/** Connections that may be plaintext, as `ALLOW_PLAINTEXT` names them. */
export const plaintextNames = ['database', 'redis', 'smtp', 'model', 'traces'] as const

type PlaintextName = typeof plaintextNames[number]

/** The hosts of a connection string of MongoDB, which may be several, or paths of sockets. */
function isPlainDatabase (uri: string): boolean {
  const [, service, authority = '', query = ''] = /^mongodb(\+srv)?:\/\/([^/?]*)(?:\/[^?]*)?(?:\?(.*))?$/s.exec(uri) ?? []
  const options = new URLSearchParams(query.toLowerCase())
  const tls = [...options.getAll('tls'), ...options.getAll('ssl')]
  if (tls.length > 0 ? tls.every((value) => value === 'true') : service !== undefined) return false
  const hosts = authority.slice(authority.lastIndexOf('@') + 1).split(',')
  const isHere = (host: string) => host.startsWith('%2F') || host.startsWith('%2f') || isLoopback(host.replace(/:\d+$/, ''))
  return service !== undefined || !hosts.every(isHere)
}

/** Whether a URL of `scheme`, which has no encryption, leads away from here. */
const leadsAway = (url: string, scheme: string) =>
  url.startsWith(`${scheme}://`) && !isLoopback(new URL(url).hostname)

/** The variables that send what they send over a network as it is, and what they connect to. */
export function plaintextConnections (env: {
  readonly MONGODB_URI?: string
  readonly REDIS_URL?: string
  readonly MISTRAL_API_KEY?: string
  readonly MISTRAL_BASE_URL: string
  readonly OTEL_EXPORTER_OTLP_ENDPOINT?: string
}): Array<readonly [variable: string, name: PlaintextName]> {
  const { MONGODB_URI, REDIS_URL, MISTRAL_API_KEY, MISTRAL_BASE_URL, OTEL_EXPORTER_OTLP_ENDPOINT: traces } = env
  return [
    ...(MONGODB_URI !== undefined && isPlainDatabase(MONGODB_URI) ? [['MONGODB_URI', 'database'] as const] : []),
    ...(REDIS_URL !== undefined && leadsAway(REDIS_URL, 'redis') ? [['REDIS_URL', 'redis'] as const] : []),
    // Without a key nobody is asked.
    ...(MISTRAL_API_KEY !== undefined && leadsAway(MISTRAL_BASE_URL, 'http') ? [['MISTRAL_BASE_URL', 'model'] as const] : []),
    ...(traces !== undefined && leadsAway(traces, 'http') ? [['OTEL_EXPORTER_OTLP_ENDPOINT', 'traces'] as const] : [])
  ]
}
